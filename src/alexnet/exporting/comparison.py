"""An export against its original, on the same images: how many predictions it keeps, its size, and its speed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from alexnet.data.parallel import Track, untracked
from alexnet.exporting.images import ExportImages
from alexnet.images.decoding import Pixels
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.probability import Floats, log_softmax
from alexnet.model.artifact import Artifact
from alexnet.model.exported import Precision
from alexnet.network.module.model import AlexNet

# Of classes whose probabilities are this close, chance decides which is the first.
TIE = 1e-6
# Images at a time, and how often each is timed.
REPEATS: Mapping[int, int] = {1: 9, 32: 3}

Logits = Callable[[Pixels], Floats]
"""Computes logits ``(N, n_classes)`` for images ``(N, image_size, image_size, C)`` uint8."""


@dataclass(frozen=True)
class Limits:
    """How far an export may be from its original; None for no limit.

    Attributes:
        differing: the most images whose top-1 may change.
        lost: the most images, net, that may be right before and wrong after.
        difference: the most that a probability may change.
    """

    differing: int | None = None
    lost: int | None = None
    difference: float | None = None

    @classmethod
    def of(cls, precision: Precision, n_images: int, max_loss: float | None) -> "Limits":
        """Return the limits for a kind of export.

        Args:
            precision: how numbers are stored. ``int8`` may change one image in a hundred.
            n_images: the number of images to compare on. Of fewer than a hundred, one may always change.
            max_loss: how much the top-1 of a shrunk network may fall, a share in [0, 1]; None for a network that was
                not shrunk.
        """
        lost = 0
        if precision == "int8":
            lost = max(2, n_images // 200) if n_images >= 200 else 1
        if max_loss is not None:
            # 0.01 of 400 images is a little less than 4 in floating point.
            return cls(lost=lost + int(max_loss * n_images + 1e-9))
        if precision == "int8":
            return cls(differing=max(1, n_images // 100), lost=lost)
        return cls(differing=0, difference=1e-5 if precision == "fp32" else 5e-3)


@dataclass(frozen=True)
class Comparison:
    """An export and its original on the same images.

    Attributes:
        n_images: the number of images.
        agreement: the share of them whose top-1 is the same, in [0, 1].
        n_lost: how many more of them are wrong after than before; negative if more are right.
        largest_difference: the most that any probability changes, in [0, 1].
        top1_before: the share that the original predicts right.
        top1_after: the share that the export predicts right.
        n_bytes_before: size of the original, in bytes.
        n_bytes: size of the export, in bytes.
        milliseconds_before: how long the original takes for an image, by the number of images at a time; the median.
        milliseconds: how long the export takes.
        split: the split that the images are of.
    """

    n_images: int
    agreement: float
    n_lost: int
    largest_difference: float
    top1_before: float
    top1_after: float
    n_bytes_before: int
    n_bytes: int
    milliseconds_before: Mapping[int, float]
    milliseconds: Mapping[int, float]
    split: str = "test"

    @property
    def n_differing(self) -> int:
        """The number of images whose top-1 changes."""
        return round((1 - self.agreement) * self.n_images)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)

    def fault(self, limits: Limits) -> str | None:
        """Return what is beyond the limits, in words; None if nothing is."""
        n, faults = self.n_images, []
        if limits.differing is not None and self.n_differing > limits.differing:
            faults.append(f"the top-1 of {self.n_differing} of {n} images changes (at most {limits.differing} may)")
        if limits.lost is not None and self.n_lost > limits.lost:
            faults.append(f"{self.n_lost} more of {n} images are predicted wrong (at most {limits.lost} may)")
        # Not "greater": that is never true of NaN.
        if limits.difference is not None and not self.largest_difference <= limits.difference:
            faults.append(f"a probability changes by {self.largest_difference:.2g} (at most {limits.difference:g})")
        return ", ".join(faults) or None


def logits_of(model: AlexNet, artifact: Artifact) -> Logits:
    """Return the network itself as the original: on the CPU, where its numbers are the same on every machine.

    Args:
        model: the network, in evaluation mode.
        artifact: the saved model that it was loaded from.
    """
    how = artifact.preprocessing

    @torch.inference_mode()
    def logits(pixels: Pixels) -> Floats:
        images = normalise(to_tensor(pixels), how.mean, how.std).contiguous()
        return np.asarray(model(images).numpy())

    return logits


def compare(
    before: Logits,
    after: Logits,
    images: ExportImages,
    temperature: float,
    *,
    n_bytes_before: int,
    n_bytes: int,
    track: Track,
) -> Comparison:
    """Compare an export with its original on the images for that.

    Args:
        before: the original.
        after: the export.
        images: its ``test`` images.
        temperature: what the logits of both are divided by.
        n_bytes_before: size of the original, in bytes.
        n_bytes: size of the export, in bytes.
        track: how progress is shown.
    """
    pairs = [(before(pixels), after(pixels)) for pixels in images.batches(images.test, track, "comparing")]
    first, second = (np.exp(log_softmax(np.concatenate(each), temperature)) for each in zip(*pairs, strict=True))
    predicted = [each.argmax(axis=1) for each in (first, second)]
    chosen = np.take_along_axis(first, predicted[1][:, None], axis=1)[:, 0]
    top1_before, top1_after = (float((each == images.test.labels).mean()) for each in predicted)
    n = len(images.test)
    pixels = next(images.batches(images.test.take(np.arange(max(REPEATS)) % n), untracked, ""))
    milliseconds_before, milliseconds = _milliseconds((before, after), pixels)
    return Comparison(
        n_images=n,
        agreement=float((first.max(axis=1) - chosen <= TIE).mean()),
        n_lost=round((top1_before - top1_after) * n),
        largest_difference=float(np.abs(first - second).max()),
        top1_before=top1_before,
        top1_after=top1_after,
        n_bytes_before=n_bytes_before,
        n_bytes=n_bytes,
        milliseconds_before=milliseconds_before,
        milliseconds=milliseconds,
        split=images.split,
    )


def _milliseconds(functions: tuple[Logits, Logits], pixels: Pixels) -> list[dict[int, float]]:
    """Return how long each function takes for an image, by the number of images at a time.

    They take turns, so that a busy moment of the machine counts for both.
    """
    medians: list[dict[int, float]] = [{} for _ in functions]
    for n, repeats in REPEATS.items():
        seconds: list[list[float]] = [[] for _ in functions]
        for _ in range(repeats + 1):
            for function, taken in zip(functions, seconds, strict=True):
                start = time.perf_counter()
                function(pixels[:n])
                taken.append(time.perf_counter() - start)
        for median, taken in zip(medians, seconds, strict=True):
            median[n] = float(np.median(taken[1:])) / n * 1000  # the first warms up
    return medians
