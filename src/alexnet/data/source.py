"""Labelled images: what they are called, what they show, and how they are read, wherever they come from."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from PIL import Image

from alexnet.errors import listed
from alexnet.files.paths import natural_key

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SPLITS = ("train", "val", "test")

# Groups of classes with names that are alike, of which each has a line.
_MOST_ALIKE = 5
# What systems call a folder that is there already: "cat - Copy", "cat (1)", "Copy of cat".
_COPY = re.compile(r"(?:Copy of )?(.+?)(?:(?: -)? [Cc]opy(?: \d+)?)?(?: ?\(\d+\))?")
# No image is as large as this; a file that is would fill the memory.
MAX_BYTES = 1 << 30
# An image's file, or the image itself where a source has no files.
Content = bytes | Image.Image


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One labelled image; ``path`` is relative to its source and uses ``/`` on every system."""

    path: str
    label: str
    split: str | None = None


class Reader(Protocol):
    """How a source's images are read."""

    def stamp(self, path: str) -> str:
        """Return a word that changes when the image does, without reading it."""
        ...

    def size(self, path: str) -> int:
        """Return how many bytes its file has, or claims to have; 0 where that is not known, or little."""
        ...

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        """Yield every path with a function that reads it, in the order in which that is fastest.

        Any thread may call the functions. They raise ``ImageError`` where an image cannot be had at all. Where
        ``n_bytes`` is given, the beginning of a file is enough.
        """
        ...


@dataclass(frozen=True)
class Source:
    """Labelled images, where they lie and how they are read.

    Attributes:
        name: what the user called it, a path made absolute.
        images: all of them, in natural order of their paths.
        classes: class names in natural order ("2" before "10"), with those that have no image.
        reader: how images are read.
        mirror_safe: whether a mirrored image keeps its label (digits and letters do not).
        others: files among the images that are none, going by their endings.
        warnings: what a user should know, one line each.
        data_dir: the folder that was given for a named set to lie in, absolute; None where none was.
    """

    name: str
    images: tuple[LabelledImage, ...]
    classes: tuple[str, ...]
    reader: Reader
    mirror_safe: bool = True
    others: tuple[str, ...] = field(default=(), compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    data_dir: str | None = field(default=None, compare=False)

    def in_split(self, split: str) -> tuple[LabelledImage, ...]:
        """Return the images of one split."""
        return tuple(image for image in self.images if image.split == split)

    def with_images(self, images: tuple[LabelledImage, ...]) -> "Source":
        """Return this source with other images; classes stay, so labels do not shift."""
        return replace(self, images=images)

    def with_warnings(self, warnings: Iterable[str]) -> "Source":
        """Return this source with more to know about it, said first."""
        return replace(self, warnings=(*warnings, *self.warnings))


def describe(images: Iterable[LabelledImage], classes: tuple[str, ...]) -> list[str]:
    """Return what is remarkable about which classes have images in which splits, a line each."""
    labels_of: dict[str | None, set[str]] = defaultdict(set)
    for image in images:
        labels_of[image.split].add(image.label)
    present = set().union(*labels_of.values())
    absent = [label for label in classes if label not in present]
    warnings = []
    if len(absent) == 1:
        warnings.append(f"class {listed(absent)} has no images; it is kept, but nothing can be learned about it")
    elif absent:
        what = f"classes {listed(absent)} have no images"
        warnings.append(f"{what}; they are kept, but nothing can be learned about them")
    for split in SPLITS:
        missing = [label for label in classes if label in present and label not in labels_of[split]]
        if labels_of[split] and missing:
            warnings.append(f"{split} has no images of {listed(missing)}; labels go by name, so nothing shifts")
    return [*warnings, *alike(classes)]


def alike(classes: Collection[str]) -> list[str]:
    """Return a line for each group of classes whose names differ only in case or blanks, and one on copies."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(classes, key=natural_key):
        groups[_likeness(label)].append(label)
    alike = [names for names in groups.values() if len(names) > 1]
    more = [f"so do {len(alike) - _MOST_ALIKE} more groups of classes"] if len(alike) > _MOST_ALIKE else []
    words = "differ only in case or blanks; if they are one, give them one name"
    return [*(f"classes {listed(names)} {words}" for names in alike[:_MOST_ALIKE]), *more, *_copies(classes)]


def _copies(classes: Collection[str]) -> list[str]:
    """Return a line on classes that are called as a system calls copies of others."""
    known = set(classes)
    # Few are called so at all, of maybe a hundred thousand.
    likely = (each for each in known if each.endswith(")") or "opy" in each)
    of = {each: match[1] for each in likely if (match := _COPY.fullmatch(each))}
    copies = [each for each in sorted(of, key=natural_key) if of[each] != each and of[each] in known]
    if not copies:
        return []
    originals = listed(dict.fromkeys(of[each] for each in copies))
    return [f"classes {listed(copies)} are called as copies of {originals}; if they are, delete them"]


def like(label: str, classes: Iterable[str]) -> list[str]:
    """Return the classes whose names differ from one only in case or blanks."""
    return [each for each in sorted(classes, key=natural_key) if each != label and _likeness(each) == _likeness(label)]


def _likeness(label: str) -> str:
    """Return what the names of classes share that differ only in case, in blanks or in how accents are written."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold()).split())
