"""The findings of ``check``: their kinds, the advice on each, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from alexnet.data.source import LabelledImage
from alexnet.errors import listed

Kind = Literal[
    "two_labels",
    "duplicates_across_splits",
    "near_duplicates_across_splits",
    "near_duplicates",
    "duplicates",
    "wrong_ending",
    "not_images",
    "unusual_mode",
    "one_class",
    "empty_class",
    "one_image_class",
    "imbalance",
    "classes_differ",
]
# The advice on each kind, in the order of a report.
ADVICE: Mapping[Kind, str] = {
    # The same image under two labels.
    "two_labels": "one of the labels is wrong; keep the image in the right class only",
    # The same image in two splits.
    "duplicates_across_splits": "data leaks from one split into the other; keep it in one split",
    # Similar images in two splits.
    "near_duplicates_across_splits": "if they show the same thing, keep them in one split",
    # Similar images in a folder without splits: a burst of images, or the frames of a video.
    "near_duplicates": "training keeps those of one class in one split where it can; splits of your own should too",
    # The same image more than once in one class and one split.
    "duplicates": "each copy counts in training; delete all but one",
    # The file has no image ending, or that of another format.
    "wrong_ending": "rename them, as other programs go by the ending",
    # Files that are not images.
    "not_images": "they are ignored; move them away if they should not be there",
    # Pixels that need more than a palette lookup to become RGB.
    "unusual_mode": "they are converted to RGB; check that they still look right",
    # All images are of one class.
    "one_class": "a classifier needs at least two; check that their folders are where they should be",
    # A class without usable images.
    "empty_class": "the network cannot learn it; add images or delete it",
    # A class with one usable image.
    "one_image_class": "one image is not enough to train and to test on; add images",
    # The largest class has more than ``check.IMBALANCE`` times the images of the smallest.
    "imbalance": "the network may never predict the small one; add images to it",
    # A class that is missing from a split.
    "classes_differ": "check whether a folder is missing or misspelt",
}
# Kinds that spoil training or evaluation; the others are for information.
HARMFUL: frozenset[Kind] = frozenset({"two_labels", "duplicates_across_splits"})


@dataclass(frozen=True)
class Finding:
    """One thing a user should know about some images.

    Attributes:
        kind: a key of ``ADVICE``.
        what: a description, to be printed after the paths.
        paths: the files concerned; none where it is about whole classes.
        labels: the classes concerned.
        splits: the splits concerned.
        distance: for near duplicates, how many of the 64 bits of their hashes differ.
    """

    kind: Kind
    what: str
    paths: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    distance: int | None = None

    @property
    def message(self) -> str:
        """The finding and the advice, in one line."""
        where = f"{listed(self.paths)}: " if self.paths else ""
        return f"{where}{self.what}; {ADVICE[self.kind]}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; labels, splits and distance only where there are any."""
        found: dict[str, Any] = {"kind": self.kind, "message": self.message, "paths": list(self.paths)}
        if self.labels:
            found["labels"] = list(self.labels)
        if self.splits:
            found["splits"] = list(self.splits)
        if self.distance is not None:
            found["distance"] = self.distance
        return found


@dataclass(frozen=True)
class Report:
    """The result of ``check``.

    Attributes:
        name: the source, as the user named it.
        n_usable: number of images that can be read.
        unusable: paths of the others, each with the reason.
        warnings: the findings, in the order of ``ADVICE``.
        classes: the number of usable images of each class in each split; data without splits has one, ``"all"``.
        images: all images by path.
    """

    name: str
    n_usable: int
    unusable: tuple[tuple[str, str], ...]
    warnings: tuple[Finding, ...]
    classes: Mapping[str, Mapping[str, int]]
    images: Mapping[str, LabelledImage] = field(repr=False)

    @property
    def is_harmful(self) -> bool:
        """Whether something spoils training or evaluation, and should be mended first."""
        return bool(self.unusable) or any(finding.kind in HARMFUL for finding in self.warnings)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {
            "usable": self.n_usable,
            "unusable": [{"path": path, "reason": reason} for path, reason in self.unusable],
            "warnings": [finding.to_json() for finding in self.warnings],
            "classes": {label: dict(counts) for label, counts in self.classes.items()},
        }


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings by kind, the worst first."""
    kinds = list(ADVICE)
    return tuple(sorted(findings, key=lambda finding: kinds.index(finding.kind)))
