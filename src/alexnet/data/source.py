"""Where pictures come from: class folders, or a built-in set, as one list of pictures with labels and splits."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from alexnet.data import image
from alexnet.data.image import Pixels
from alexnet.errors import DataError

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Picture:
    """One labelled picture; ``path`` is relative to its source and uses ``/`` on every system."""

    path: str
    label: str
    split: str | None = None


class Reader(Protocol):
    """How a source's pictures are read."""

    def decode(self, path: str, min_side: int | None) -> Pixels:
        """Return one picture upright, ``(H, W, 3)`` uint8, or raise ``PictureError``."""
        ...

    def longest_side(self, path: str) -> int:
        """Return the longer side in pixels without decoding, or raise ``PictureError``."""
        ...

    def stamp(self, path: str) -> str:
        """Return a word that changes when the picture does."""
        ...


@dataclass(frozen=True)
class Source:
    """Labelled pictures, where they lie and how they are read.

    Attributes:
        name: what the user called it, a folder made absolute.
        pictures: all of them, in natural order of their paths.
        classes: class names in natural order ("2" before "10"), with those that have no picture.
        reader: how pictures are read.
        mirror_safe: whether a mirrored picture keeps its label (digits and letters do not).
        remarks: what a user should know, one line each.
    """

    name: str
    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]
    reader: Reader
    mirror_safe: bool = True
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def in_split(self, split: str) -> tuple[Picture, ...]:
        """Return the pictures of one split."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    def with_pictures(self, pictures: tuple[Picture, ...]) -> "Source":
        """Return this source with other pictures; classes stay, so labels do not shift."""
        return replace(self, pictures=pictures)


def open_source(data: str | os.PathLike[str]) -> Source:
    """Find the labelled pictures that ``data`` names.

    Args:
        data: ``digits`` (1,797 handwritten digits that ship inside scikit-learn), or a folder of class folders, or a
            folder with ``train`` and maybe ``val`` (``valid``, ``validation``) and ``test`` folders of those. A folder
            of yours called digits is ``./digits``.

    Raises:
        DataError: nothing there, no pictures, or no class folders.
    """
    if str(data) == "digits":
        return _digits()
    root = Path(data).expanduser()
    if not root.exists():
        raise DataError(f"there is no folder {str(data)!r}; give a folder of class folders, or the name digits")
    if not root.is_dir():
        raise DataError(f"{str(data)!r} is a file; give the folder that holds the class folders")
    return _open_folder(root.resolve())


def natural_key(text: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return a sorting key that puts "2" before "10", and never leaves the order of two names to the file system."""
    parts = re.split(r"(\d+)", text)
    # "1" and "01" are the same number: the text itself decides between them.
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part), text


def _open_folder(root: Path) -> Source:
    folders = _subfolders(root)
    # A class may well be called "train" or "test": folders of splits hold class folders, and those of classes do not.
    splits = {
        name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES and _subfolders(root / name)
    }
    if set(splits) != set(folders) and "train" not in splits.values():
        splits = {}

    pictures: list[Picture] = []
    classes: set[str] = set()
    others: Counter[str] = Counter()
    for top, split in splits.items() if splits else [("", None)]:
        for label in _subfolders(root / top):
            classes.add(label)
            prefix = f"{top}/{label}" if top else label
            for path in files_below(root / prefix, prefix):
                if is_picture_name(path):
                    pictures.append(Picture(path, label, split))
                else:
                    others[_ending(path)] += 1
    if not pictures:
        raise DataError(_no_pictures(root, others))
    pictures.sort(key=lambda picture: natural_key(picture.path))
    ordered = tuple(sorted(classes, key=natural_key))
    remarks = _remarks(pictures, ordered, others)
    ignored = [name for name in folders if splits and name not in splits]
    if ignored:
        remarks = (f"ignored {_listed(ignored)} beside {_listed(list(splits))}", *remarks)
    return Source(str(root), tuple(pictures), ordered, _FolderReader(root), remarks=remarks)


def _remarks(pictures: list[Picture], classes: tuple[str, ...], others: Counter[str]) -> tuple[str, ...]:
    counts = Counter(picture.label for picture in pictures)
    remarks = [
        f"class {label!r} has no pictures; it is kept, but nothing can be learned about it"
        for label in classes
        if not counts[label]
    ]
    splits = {picture.split for picture in pictures} - {None}
    for split in sorted(splits & {"train", "val", "test"}, key=SPLITS.index):
        present = {picture.label for picture in pictures if picture.split == split}
        missing = [label for label in classes if counts[label] and label not in present]
        if missing:
            remarks.append(f"{split} has no pictures of {_listed(missing)}; labels go by name, so nothing shifts")
    if others:
        remarks.append(f"ignored {_counted(others)}: not pictures that can be read here")
    return tuple(remarks)


def _no_pictures(root: Path, others: Counter[str]) -> str:
    names = list(files_below(root, "", deep=False))
    loose = Counter(_ending(name) for name in names)
    n_loose_pictures = sum(is_picture_name(name) for name in names)
    if n_loose_pictures:
        return (
            f"{str(root)!r} holds {n_loose_pictures} pictures but no class folders; "
            "put the pictures of each class into a folder named after it"
        )
    found = others + loose
    if found:
        return f"no pictures in {str(root)!r}; found {_counted(found)}; convert them to JPEG or PNG"
    return f"no pictures in {str(root)!r}; it needs one folder of pictures for each class"


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(names, key=natural_key)


def files_below(folder: Path, prefix: str, *, deep: bool = True, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the files below ``folder`` as ``prefix/...``, hidden ones and what systems leave behind excepted.

    Links are followed, but not in a circle: ``above`` holds the folders that lead here.
    """
    above |= {os.path.realpath(folder)}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in ("thumbs.db", "desktop.ini"):
                continue
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if not entry.is_dir():
                yield path
            elif deep and os.path.realpath(entry.path) not in above:
                yield from files_below(folder / entry.name, path, above=above)


def is_picture_name(path: str) -> bool:
    """Return whether a file is a picture, going by its ending."""
    return Path(path).suffix.lower() in image.EXTENSIONS


def _ending(path: str) -> str:
    return Path(path).suffix.lower() or "without an ending"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common(4))


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


@dataclass(frozen=True)
class _FolderReader:
    root: Path

    def decode(self, path: str, min_side: int | None) -> Pixels:
        return image.decode(self.root / path, min_side=min_side)

    def longest_side(self, path: str) -> int:
        return max(image.measure(self.root / path))

    def stamp(self, path: str) -> str:
        try:
            status = (self.root / path).stat()
        except OSError:
            return "missing"  # such as a link that leads nowhere; decoding it will say so by name
        return f"{status.st_size}-{status.st_mtime_ns}"


def _digits() -> Source:
    pixels, labels = _load_digits()
    pictures = tuple(Picture(f"{number:04d}", str(label)) for number, label in enumerate(labels))
    return Source("digits", pictures, tuple("0123456789"), _DigitsReader(pixels), mirror_safe=False)


@cache
def _load_digits() -> tuple[Pixels, tuple[int, ...]]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 17 grey levels on 8x8 pixels. Four pixels for one leaves room for crops that move by a fraction of a stroke.
    grey = np.asarray(bunch.images * (255 / 16)).round().astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return np.repeat(grey[..., None], 3, axis=3), tuple(int(label) for label in bunch.target)


@dataclass(frozen=True)
class _DigitsReader:
    pixels: Pixels

    def decode(self, path: str, min_side: int | None) -> Pixels:
        return np.asarray(self.pixels[int(path)])

    def longest_side(self, path: str) -> int:
        return int(self.pixels.shape[1])

    def stamp(self, path: str) -> str:
        return "sklearn"
