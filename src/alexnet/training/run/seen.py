"""Which images a network has been trained on, by this run or before it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alexnet.data.fingerprint import Fingerprint, SeenImages
from alexnet.data.source import Source
from alexnet.data.split import ImageIndex


def seen_after_training(source: Source, index: ImageIndex, inherited: SeenImages) -> SeenImages:
    """Return the images that a network has seen after training on a source.

    Args:
        source: the images, split.
        index: identifies images by content.
        inherited: the images that its initial weights had seen.
    """
    train, val = (Fingerprint.of(_contents(source, index, split)) for split in ("train", "val"))
    return SeenImages(train=train, val=val) | inherited


def count_seen_before(source: Source, index: ImageIndex, inherited: SeenImages, split: str) -> int:
    """Return how many images of a split the initial weights were trained on."""
    return sum(content in inherited.train for content in _contents(source, index, split))


def unseen_before(names: Sequence[str], index: ImageIndex, inherited: SeenImages) -> npt.NDArray[np.bool_]:
    """Return whether each image is one that the initial weights were not trained on, ``(N,)``."""
    return np.array([index.content(name) not in inherited.train for name in names], dtype=np.bool_)


def seen_before_warnings(source: Source, index: ImageIndex, inherited: SeenImages, init: str | None) -> list[str]:
    """Return warnings about images of ``val`` and ``test`` that the initial weights may have seen."""
    n = sum(count_seen_before(source, index, inherited, split) for split in ("val", "test"))
    lines = []
    if n:
        lines.append(
            f"the weights of --init were trained on {n} images of val and test: scores on val are too high, "
            "and evaluate leaves these images out"
        )
    if not inherited.is_all:
        lines.append(
            f"{init} does not record its training images; if images of val or test are among them, "
            "their scores are too high"
        )
    return lines


def _contents(source: Source, index: ImageIndex, split: str) -> list[str]:
    return [index.content(image.path) for image in source.in_split(split)]
