"""What can be wrong with images, and how it is said."""

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
# What to do about each kind, in the order in which they are reported.
ADVICE: Mapping[Kind, str] = {
    # The same image under two labels.
    "two_labels": "one of the labels is wrong, so keep the image where it belongs",
    # The same image in two splits.
    "duplicates_across_splits": "what is judged would have been learned, so keep it in one split",
    # Images in two splits that look alike.
    "near_duplicates_across_splits": "if they show the same thing, keep them in one split",
    # Images of a folder without splits that look alike: a burst of images, or the frames of a film.
    "near_duplicates": "training keeps those of one class in one split where it can, as should splits of your own",
    # The same image more than once in one class and one split.
    "duplicates": "it counts as often in training, so delete all but one",
    # The ending says another format than the content, or none.
    "wrong_ending": "rename them, as the ending is what other programs go by",
    # Files among the images that are none.
    "not_images": "they are ignored, so move them away if they should not be there",
    # Pixels that have to be converted to RGB by more than a table of colours.
    "unusual_mode": "they are converted to RGB, so see whether they still look as they should",
    # All images are of one class.
    "one_class": "a classifier needs at least two, so see whether their folders are where they should be",
    # A class without usable images.
    "empty_class": "nothing can be learned about it, so add images or delete it",
    # A class with one usable image.
    "one_image_class": "it cannot be learned and judged by one, so add images",
    # The largest class has more than ``check.IMBALANCE`` times the images of the smallest.
    "imbalance": "the small one may never be answered, so add images to it",
    # A class that one split has and another has not.
    "classes_differ": "see whether a folder is missing or misspelt",
}
# Kinds that spoil training or judging; the others are only worth knowing.
HARMFUL: frozenset[Kind] = frozenset({"two_labels", "duplicates_across_splits"})


@dataclass(frozen=True)
class Finding:
    """Something a user should know about some images.

    Attributes:
        kind: a key of ``ADVICE``.
        what: what it is, in words that follow the paths.
        paths: the files concerned; none where it is about whole classes.
        labels: the classes concerned.
        splits: the splits concerned.
        distance: of near duplicates, in how many of 64 bits their hashes differ.
    """

    kind: Kind
    what: str
    paths: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    distance: int | None = None

    @property
    def message(self) -> str:
        """What it is and what to do, in a sentence."""
        where = f"{listed(self.paths)}: " if self.paths else ""
        return f"{where}{self.what}; {ADVICE[self.kind]}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; labels, splits and distance only where they say something."""
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
    """What there is to know about a source before training.

    Attributes:
        name: what the user calls the source.
        n_usable: number of images that can be read.
        unusable: paths of the others, each with the reason.
        warnings: what was found, in the order of ``ADVICE``.
        classes: the number of usable images of each class in each split; the one split is ``"all"`` where there are
            none.
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
        """Whether something spoils training or judging, so that the user should do something first."""
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
