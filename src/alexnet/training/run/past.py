"""What the weights had seen with which a run began, and what its network has seen by its end."""

from alexnet.data.fingerprint import Fingerprint, SeenImages
from alexnet.data.source import Source
from alexnet.data.split import ImageIndex


def seen_by_its_end(source: Source, identities: ImageIndex, inherited: SeenImages) -> SeenImages:
    """Return what a network has seen that was trained on a source.

    Args:
        source: the images, split.
        identities: what tells them apart.
        inherited: what the weights had seen with which it began.
    """
    train, val = (Fingerprint.of(_contents(source, identities, split)) for split in ("train", "val"))
    return SeenImages(train=train, val=val) | inherited


def n_seen_before(source: Source, identities: ImageIndex, inherited: SeenImages, split: str) -> int:
    """Return how many images of a split the weights had learned from with which a run began."""
    return sum(content in inherited.train for content in _contents(source, identities, split))


def what_was_seen_before(source: Source, identities: ImageIndex, inherited: SeenImages, init: str | None) -> list[str]:
    """Return what a user should know of the weights with which a run begins, a line each."""
    n = sum(n_seen_before(source, identities, inherited, split) for split in ("val", "test"))
    lines = []
    if n:
        among = f"{n} images of val and test are among those that --init learned from"
        lines.append(f"{among}: val flatters, and evaluate leaves them out")
    if not inherited.is_all:
        lines.append(f"{init} does not say what it learned from; if that was images of val or test, these flatter")
    return lines


def _contents(source: Source, identities: ImageIndex, split: str) -> list[str]:
    return [identities.content(image.path) for image in source.in_split(split)]
