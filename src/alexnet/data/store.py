"""The prepared store: every picture decoded once to a fixed size, memory-mapped, cached outside the user's folder.

Departure: the paper (section 2) stores 256x256 centre crops; ``image.squash`` says why ours are squashed instead.
A store is a folder of two files: ``pixels.npy``, ``(N, S, S, 3)`` uint8, and ``index.json``, which says which row holds
which picture and which pictures could not be read.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import platformdirs

from alexnet.data.image import Pixels, squash
from alexnet.data.source import Source
from alexnet.errors import DataError, PictureError
from alexnet.whole import delete_unfinished, whole_folder, write_whole

DEFAULT_SIZE = 256
A_DAY = 86_400.0
# Part of every fingerprint: raise it when the same pictures would give other pixels.
_FORMAT = "1 squash bilinear"

T = TypeVar("T")


class Track(Protocol):
    """Wraps an iterable to show how many of its items are done."""

    def __call__(self, items: Iterable[T], n_items: int, what: str, /) -> Iterable[T]: ...


def untracked(items: Iterable[T], n_items: int, what: str) -> Iterable[T]:
    """Show nothing."""
    return items


@dataclass(frozen=True)
class Store:
    """Prepared pictures.

    Attributes:
        folder: where it lies.
        pixels: ``(N, size, size, 3)`` uint8, mapped from disk, not read into memory.
        rows: the row of each readable picture, by path.
        skipped: why each of the others could not be read, by path.
    """

    folder: Path
    pixels: Pixels
    rows: dict[str, int]
    skipped: dict[str, str]

    @property
    def size(self) -> int:
        """Side of a stored picture in pixels."""
        return int(self.pixels.shape[1])


def cache_folder() -> Path:
    """Return where stores are kept: the platform's cache folder, or what ``ALEXNET_CACHE`` says."""
    return Path(os.environ.get("ALEXNET_CACHE") or platformdirs.user_cache_dir("alexnet", appauthor=False))


def store_size(image_size: int | None) -> int:
    """Return the size in pixels at which to store pictures that a network takes at ``image_size``.

    A store of 256 px serves 224 px and all below; above, it keeps that room for crops (the paper, section 4.1).
    """
    return max(DEFAULT_SIZE, math.ceil((image_size or 0) * 8 / 7))


def prepare(source: Source, size: int = DEFAULT_SIZE, *, exact: bool = False, track: Track = untracked) -> Store:
    """Open the store of a source's pictures, making it first where it is missing or a picture has changed.

    Args:
        source: the pictures.
        size: side of the stored pictures, in pixels. Where all pictures are smaller, the longest of their sides.
        exact: store at ``size`` even so, as a trained network asks for.
        track: how progress is shown.

    Raises:
        DataError: no picture can be read, or the disk is too full.
    """
    family = cache_folder() / "stores" / _fingerprint(source)
    if not exact:
        size = min(size, _longest_side(source, family))
    folder = family / str(size)
    try:
        return _open(folder)
    except (OSError, ValueError, KeyError):  # not made yet, or a cleaner has been through the cache
        _build(source, size, folder, track)
        return _open(folder)


def _open(folder: Path) -> Store:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    rows = {path: row for row, path in enumerate(index["rows"])}
    return Store(folder, pixels, rows, index["skipped"])


def _fingerprint(source: Source) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {source.name}".encode(errors="surrogateescape"))
    for picture in source.pictures:
        digest.update(f"\n{picture.path}\t{source.reader.stamp(picture.path)}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _longest_side(source: Source, family: Path) -> int:
    """Return the longest side of any picture, remembered beside the stores: reading every header takes a while."""
    remembered = family / "longest_side"
    if not remembered.exists():
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            paths = (picture.path for picture in source.pictures)
            sides = list(threads.map(lambda path: _or_reason(source.reader.longest_side, path), paths))
        # Where none can be read, building says so.
        longest = max((side for side in sides if isinstance(side, int)), default=DEFAULT_SIZE)
        family.mkdir(parents=True, exist_ok=True)
        write_whole(remembered, str(longest))
    return int(remembered.read_text())


def _build(source: Source, size: int, folder: Path, track: Track) -> None:
    paths = [picture.path for picture in source.pictures]
    folder.parent.mkdir(parents=True, exist_ok=True)
    delete_unfinished(folder.parent, older_than=A_DAY)
    _check_disk(folder.parent, len(paths) * size * size * 3)
    # Pillow lets other threads run while it decodes and resizes, so threads are enough to use every core.
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        with whole_folder(folder) as unfinished:
            results = _in_order(threads, lambda path: _or_reason(lambda p: _stored(source, p, size), path), paths)
            _write(unfinished, paths, size, track(results, len(paths), "preparing"))
    finally:
        threads.shutdown(cancel_futures=True)


def _write(unfinished: Path, paths: list[str], size: int, results: Iterable[Pixels | str]) -> None:
    rows: list[str] = []
    skipped: dict[str, str] = {}
    shape = (len(paths), size, size, 3)
    pixels = np.lib.format.open_memmap(unfinished / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, str):
            skipped[path] = result
        else:
            pixels[len(rows)] = result
            rows.append(path)
    if not rows:
        raise DataError(f"none of the {len(paths)} pictures can be read; the first, {paths[0]!r}: {skipped[paths[0]]}")
    pixels.flush()
    index = json.dumps({"rows": rows, "skipped": skipped})
    (unfinished / "index.json").write_text(index, encoding="utf-8")


def _in_order(threads: ThreadPoolExecutor, work: Callable[[str], T], paths: list[str]) -> Iterator[T]:
    """Map in threads like ``Executor.map``, but a batch at a time, so that memory stays flat for any number."""
    for start in range(0, len(paths), 256):
        yield from threads.map(work, paths[start : start + 256])


def _stored(source: Source, path: str, size: int) -> Pixels:
    return squash(source.reader.decode(path, size), size)


def _or_reason(read: Callable[[str], T], path: str) -> T | str:
    try:
        return read(path)
    except PictureError as error:
        return error.reason


def _check_disk(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise DataError(
            f"the prepared pictures need {n_bytes / 1e9:.1f} GB, but {str(folder)!r} has {free / 1e9:.1f} GB free; "
            "free some space, or set ALEXNET_CACHE to a folder on a larger disk"
        )
