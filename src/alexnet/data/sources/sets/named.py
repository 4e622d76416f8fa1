"""Named sets: the digits of scikit-learn, and the data sets of torchvision."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import Image

from alexnet.data.source import Content, LabelledImage, Source
from alexnet.data.sources.sets.obtaining import MissingError, obtain
from alexnet.data.sources.sets.torchvision_sets import DIGITS, SETS, TorchvisionSet
from alexnet.errors import DataError, ImageError
from alexnet.files.paths import natural_key
from alexnet.images.decoding import fault

NAMES = ("digits", *SETS)


def open_named(name: str, data_dir: Path | None) -> Source:
    """Open the set named ``name``, one of ``NAMES``; missing files are downloaded.

    Args:
        name: the name of the set.
        data_dir: the folder that holds sets, in torchvision's layout; None for a folder in the user's data directory.

    Raises:
        DataError: the set is missing and cannot be downloaded.
    """
    if name == "digits":
        return _digits()
    row = SETS[name]
    root = data_dir or _usual_folder()
    by_split: dict[str, _SplitData] = {}
    images: list[LabelledImage] = []
    warnings = []
    are_new = False
    for split in sorted(row.splits, key=str):  # in the natural order of paths: test, train, val
        try:
            dataset, is_new = obtain(name, row, root, split)
        except MissingError:
            warnings.append(f"{name} has no {split} images: they are missing in {str(root)!r}, or damaged")
            continue
        are_new |= is_new
        data = _split_data(row, dataset)
        by_split[split or ""] = data
        prefix, width = f"{split}/" if split else "", max(5, len(str(len(data.labels) - 1)))
        images += [LabelledImage(f"{prefix}{i:0{width}d}", label, split) for i, label in enumerate(data.labels)]
    if not images:
        raise DataError(f"there is no {name!r} in {str(root)!r}, and it cannot be downloaded; {row.by_hand}")
    classes = tuple(sorted({image.label for image in images}, key=natural_key))
    if are_new:
        warnings.append(f"{name} was downloaded to {str(root)!r}, or unpacked from an archive there")
    reader = _Reader(f"torchvision {row.kind} {root}", by_split)
    given = None if data_dir is None else str(data_dir.absolute())
    return Source(name, tuple(images), classes, reader, row.mirror_safe, warnings=tuple(warnings), data_dir=given)


def _usual_folder() -> Path:
    with contextlib.suppress(RuntimeError):  # the user is unknown and has no home folder
        folder = platformdirs.user_data_path("alexnet", appauthor=False) / "datasets"
        if folder.is_absolute():
            return folder
    raise DataError("this user has no home folder to keep named sets in; give a folder with --data-dir")


@dataclass(frozen=True)
class _SplitData:
    """The images and labels of one split: ``files[i]`` is an image's file, or ``dataset[i][0]`` the image itself."""

    dataset: Any
    labels: tuple[str, ...]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reader:
    word: str
    by_split: Mapping[str, _SplitData]

    def stamp(self, path: str) -> str:
        data, number = self._find(path)
        if not data.files:
            return self.word
        try:
            # The images of such a set never change, but a copy may lack a file that is added later.
            status = os.stat(data.files[number])  # noqa: PTH116 - a third of pathlib's time
            return f"{data.files[number]} {status.st_size}-{status.st_mtime_ns}"
        except OSError:
            return "missing"

    def size(self, path: str) -> int:
        return 0

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self._content, path)

    def _content(self, path: str) -> Content:
        data, number = self._find(path)
        try:
            if data.files:
                return Path(data.files[number]).read_bytes()
            image = data.dataset[number][0]
            image.load()
        except OSError as error:
            where = data.files[number] if data.files else str(error.filename or path)
            raise ImageError(where, fault(error)) from error
        assert isinstance(image, Image.Image)
        return image

    def _find(self, path: str) -> tuple[_SplitData, int]:
        split, _, number = path.rpartition("/")
        return self.by_split[split], int(number)


def _digits() -> Source:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 17 grey levels, 8x8 pixels. Enlarged four times, so that a crop can move by less than the width of a stroke.
    grey = np.asarray(bunch.images * (255 / 16)).round().astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    data = _SplitData([(Image.fromarray(pixels),) for pixels in grey], tuple(str(label) for label in bunch.target))
    images = tuple(LabelledImage(f"{number:04d}", label) for number, label in enumerate(data.labels))
    return Source("digits", images, DIGITS, _Reader("sklearn", {"": data}), mirror_safe=False)


def _split_data(row: TorchvisionSet, dataset: Any) -> _SplitData:
    names = _class_names(row, dataset)
    labels = getattr(dataset, row.labels)
    labels = labels.tolist() if hasattr(labels, "tolist") else labels  # reading a tensor number by number takes seconds
    numbers = (each[1] if isinstance(each, tuple) else each for each in labels)
    files = getattr(dataset, row.files) if row.files else ()
    return _SplitData(
        dataset,
        tuple(names[int(number)] for number in numbers),
        tuple(str(each[0] if isinstance(each, tuple) else each) for each in files),
    )


def _class_names(row: TorchvisionSet, dataset: Any) -> list[str]:
    names = row.classes if isinstance(row.classes, tuple) else getattr(dataset, row.classes)
    # ImageNet's classes are lists of synonyms, and two classes are named crane.
    firsts = [name if isinstance(name, str) else name[0] for name in names]
    counts = Counter(firsts)
    numbers = getattr(dataset, "wnids", range(len(firsts)))
    return [name if counts[name] == 1 else f"{name} ({number})" for name, number in zip(firsts, numbers, strict=True)]
