"""Prepared pictures of one size on the disk, appended to and never changed.

A pool is a folder of two files. ``pixels`` holds a picture of ``side * side * 3`` bytes after another; ``records``
holds, for each in the same order, the digest of the content it was made from and the digest of what it shows. A picture
counts once its record is written. So a process may be killed at any moment, several may append at the same time, and
every source that holds the same picture shares it.
"""

import contextlib
import errno
import mmap
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from alexnet.data.image import Pixels
from alexnet.errors import DataError
from alexnet.whole import lock

FILES = ("pixels", "records", "lock")
RECORD = np.dtype([("content", "V16"), ("look", "V16")])
# torch insists on memory that it could write to; the file stays as it is. On Linux the system is told that nothing will
# be written, or it would refuse to map more than there is memory.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Python knows its name since 3.13
_COPY_ON_WRITE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | _NO_RESERVE, "prot": mmap.PROT_READ | mmap.PROT_WRITE}
    if sys.platform == "linux"
    else {"access": mmap.ACCESS_COPY}
)


@dataclass(frozen=True)
class Prepared:
    """A picture on its way into a pool.

    Attributes:
        pixels: ``(side, side, 3)`` uint8.
        content: digest of what it was made from, in hexadecimal.
        look: digest of what it shows, in hexadecimal.
    """

    pixels: Pixels
    content: str
    look: str


@dataclass(frozen=True)
class Mapped:
    """The pictures of a pool, on the disk.

    Attributes:
        pixels: ``(N, side, side, 3)`` uint8.
        records: of each, ``(N,)``.
    """

    pixels: Pixels
    records: npt.NDArray[np.void]
    _mapped: mmap.mmap = field(repr=False)

    def forget(self) -> None:
        """Let go of the memory in which pictures have been looked at; the disk still has them."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which takes such memory back by itself
            self._mapped.madvise(mmap.MADV_DONTNEED)


class Pool:
    """A pool; made where it is missing.

    Args:
        folder: where it lies.
        side: side of its pictures, in pixels.
    """

    def __init__(self, folder: Path, side: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.side = side
        self._pixels, self._records, turns = (folder / name for name in FILES)
        self._lock = FileLock(turns)
        self._n_before = len(self.records())
        self._n_appended = 0

    @property
    def n_bytes_each(self) -> int:
        """Bytes of one picture."""
        return self.side * self.side * 3

    def records(self) -> npt.NDArray[np.void]:
        """Return the record of each picture, ``(N,)``."""
        try:
            content = self._records.read_bytes()
            n_whole = self._pixels.stat().st_size // self.n_bytes_each
        except FileNotFoundError:  # new, or a cleaner has been through the cache
            return np.empty(0, RECORD)
        n = min(len(content) // RECORD.itemsize, n_whole)
        return np.frombuffer(content, RECORD, n)

    def append(self, pictures: Sequence[Prepared]) -> None:
        """Add pictures.

        Raises:
            DataError: the disk is full; what this pool object appended has been removed again.
        """
        digests = b"".join(bytes.fromhex(each.content + each.look) for each in pictures)
        records = np.frombuffer(digests, RECORD)
        with self._lock:
            n = len(self.records())
            try:
                pixels = [np.ascontiguousarray(each.pixels) for each in pictures]
                _write_at(self._pixels, n * self.n_bytes_each, pixels)
                _write_at(self._records, n * RECORD.itemsize, [records])
            except OSError as error:
                self._give_back(n)
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise _full(self.folder, self.n_bytes_each * len(pictures)) from error
                raise
            self._n_appended += len(pictures)

    def open(self) -> "Mapped":
        """Map the pictures from the disk: memory holds only what is being looked at."""
        records = self.records()
        n = len(records)
        with self._pixels.open("rb") as file:
            with contextlib.suppress(OSError):  # a network's file system may not know locks
                lock(file, alone=False)
            # The map has a descriptor of its own, so the lock lasts as long as the map.
            mapped = mmap.mmap(file.fileno(), n * self.n_bytes_each, **_COPY_ON_WRITE)
        pixels = np.frombuffer(mapped, np.uint8).reshape(n, self.side, self.side, 3)
        return Mapped(pixels, records, mapped)

    def check_room(self, n_pictures: int) -> None:
        """Refuse to begin what cannot end.

        Raises:
            DataError: the disk has too little room for as many more pictures.
        """
        if n_pictures * self.n_bytes_each > shutil.disk_usage(self.folder).free:
            raise _full(self.folder, n_pictures * self.n_bytes_each)

    def _give_back(self, n: int) -> None:
        """Free the disk of what could not be finished, unless somebody else has appended behind it, or looks at it."""
        kept = self._n_before if n == self._n_before + self._n_appended else n
        with contextlib.suppress(FileNotFoundError), self._pixels.open("rb") as file:
            try:
                lock(file, alone=True)
            except OSError:
                kept = n
        for path, size in ((self._records, RECORD.itemsize), (self._pixels, self.n_bytes_each)):
            if path.exists():
                os.truncate(path, kept * size)


def words(records: npt.NDArray[np.void], what: Literal["content", "look"]) -> list[str]:
    """Return one digest of each record, in hexadecimal; ten times faster than one record at a time."""
    digits = records[what].tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def _write_at(path: Path, offset: int, parts: Sequence[npt.NDArray[np.generic]]) -> None:
    with path.open("r+b" if path.exists() else "wb") as file:
        # What a killed process left behind its last record.
        file.truncate(offset)
        file.seek(offset)
        for part in parts:
            file.write(part.data)


def _full(folder: Path, n_bytes: int) -> DataError:
    free = shutil.disk_usage(folder).free
    return DataError(
        f"the prepared pictures need {n_bytes / 1e9:.1f} GB more, but {str(folder)!r} has {free / 1e9:.1f} GB free; "
        "free some space, or set ALEXNET_CACHE to a folder on a larger disk"
    )
