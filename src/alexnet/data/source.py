"""Labelled images of any origin: their paths, labels and splits, and how they are read."""

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

# Groups of similar class names that get a warning each.
_MOST_SIMILAR = 5
# Names that operating systems give to copies of a folder: "cat - Copy", "cat (1)", "Copy of cat".
_COPY = re.compile(r"(?:Copy of )?(.+?)(?:(?: -)? [Cc]opy(?: \d+)?)?(?: ?\(\d+\))?")
# No image file is as large as this, and reading one would fill the memory.
MAX_BYTES = 1 << 30
# The bytes of an image file, or the image itself where a source has no files.
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
        """Return a text that changes when the image changes, without reading the image."""
        ...

    def size(self, path: str) -> int:
        """Return how many bytes its file has, or claims to have; 0 where that is unknown, or small."""
        ...

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        """Yield every path with a function that reads it, in the order that is fastest to read.

        Any thread may call the functions. They raise ``ImageError`` where a file cannot be read. Where ``n_bytes`` is
        given, they may return the first ``n_bytes`` only.
        """
        ...


@dataclass(frozen=True)
class Source:
    """Labelled images and how to read them.

    Attributes:
        name: the data as the user named it; a path is made absolute.
        images: all of them, in natural order of their paths.
        classes: class names in natural order ("2" before "10"), also those without images.
        reader: reads the images.
        mirror_safe: whether a mirrored image keeps its label (digits and letters do not).
        others: paths of files that are not images, going by their endings.
        warnings: what a user should know, one line each.
        data_dir: the folder of named sets that the user gave, absolute; None where none was given.
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
        """Return this source with other images; the classes stay, so class numbers do not shift."""
        return replace(self, images=images)

    def with_warnings(self, warnings: Iterable[str]) -> "Source":
        """Return this source with more warnings, before its own."""
        return replace(self, warnings=(*warnings, *self.warnings))


def describe(images: Iterable[LabelledImage], classes: tuple[str, ...]) -> list[str]:
    """Return the warnings on classes without images, classes missing from a split, and similar class names."""
    labels_of: dict[str | None, set[str]] = defaultdict(set)
    for image in images:
        labels_of[image.split].add(image.label)
    present = set().union(*labels_of.values())
    absent = [label for label in classes if label not in present]
    warnings = []
    if len(absent) == 1:
        warnings.append(f"class {listed(absent)} has no images; it is kept, but cannot be learned")
    elif absent:
        what = f"classes {listed(absent)} have no images"
        warnings.append(f"{what}; they are kept, but cannot be learned")
    for split in SPLITS:
        missing = [label for label in classes if label in present and label not in labels_of[split]]
        if labels_of[split] and missing:
            warnings.append(f"{split} has no images of {listed(missing)}; labels go by name, so nothing shifts")
    return [*warnings, *similar_name_warnings(classes)]


def similar_name_warnings(classes: Collection[str]) -> list[str]:
    """Return a warning for each group of classes whose names differ only in case or blanks, and one on copies."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(classes, key=natural_key):
        groups[_normalised(label)].append(label)
    similar = [names for names in groups.values() if len(names) > 1]
    words = "differ only in case or blanks"
    warnings = [
        f"classes {listed(names)} {words}; if they are one, give them one name" for names in similar[:_MOST_SIMILAR]
    ]
    if len(similar) > _MOST_SIMILAR:
        warnings.append(f"{len(similar) - _MOST_SIMILAR} more groups of classes {words}")
    return [*warnings, *_copies(classes)]


def _copies(classes: Collection[str]) -> list[str]:
    """Return a warning on classes that are named like copies of other classes."""
    known = set(classes)
    # A quick test first: there may be a hundred thousand names.
    likely = (each for each in known if each.endswith(")") or "opy" in each)
    of = {each: match[1] for each in likely if (match := _COPY.fullmatch(each))}
    copies = [each for each in sorted(of, key=natural_key) if of[each] != each and of[each] in known]
    if not copies:
        return []
    originals = listed(dict.fromkeys(of[each] for each in copies))
    return [f"classes {listed(copies)} are named like copies of {originals}; if they are, delete them"]


def similar_names(label: str, classes: Iterable[str]) -> list[str]:
    """Return the classes whose names differ from one only in case or blanks."""
    return [
        each for each in sorted(classes, key=natural_key) if each != label and _normalised(each) == _normalised(label)
    ]


def _normalised(label: str) -> str:
    """Return a class name without case, extra blanks and spelling of accents (NFC or NFD)."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold()).split())
