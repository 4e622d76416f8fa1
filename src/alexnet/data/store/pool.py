"""Prepared images of one size on the disk, appended to and never changed.

A pool is a folder of two files. ``pixels`` holds an image of ``side * side * 3`` bytes after another; ``records``
holds, for each in the same order, the digest of the content it was made from, the digest of what it shows, the hash of
what it looks like, and a checksum of these and of its pixels. An image counts once its record is written, and by then
its pixels are on the disk. So a process may be killed at any moment, several may append at the same time, and every
source that holds the same image shares it.
"""

import contextlib
import errno
import mmap
import os
import shutil
import sys
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from alexnet.data.store.cache import POOL_FILES, make_folder, os_errors_named, write_lock
from alexnet.errors import DataError
from alexnet.files.atomic import lock, sync_file, sync_folder
from alexnet.images.decoding import Pixels

# The checksum is CRC-32, which finds what disks do: 0.08 ms an image of 256 px on one core, and SHA-256 0.14.
RECORD = np.dtype([("content", "V16"), ("look", "V16"), ("hash", "<u8"), ("checksum", "<u4")])
# Raise it when records change.
LAYOUT = 2
# Of an image that has none: of a hash, half the bits are set at most.
_NO_HASH = 2**64 - 1
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
    """An image on its way into a pool.

    Attributes:
        pixels: ``(side, side, 3)`` uint8.
        content: digest of what it was made from, in hexadecimal.
        look: digest of what it shows, in hexadecimal.
        hash: 64 bits for what it looks like; None where there is too little to see.
    """

    pixels: Pixels
    content: str
    look: str
    hash: int | None

    def record(self) -> bytes:
        """Return what stands for it in ``records``."""
        digests = bytes.fromhex(self.content + self.look)
        known = digests + (_NO_HASH if self.hash is None else self.hash).to_bytes(8, "little")
        checksum = zlib.crc32(np.ascontiguousarray(self.pixels).data, zlib.crc32(known))
        return known + checksum.to_bytes(4, "little")


@dataclass(frozen=True)
class Mapped:
    """The images of a pool, on the disk.

    Attributes:
        pixels: ``(N, side, side, 3)`` uint8.
        records: of each, ``(N,)``.
    """

    pixels: Pixels
    records: npt.NDArray[np.void]
    _mapped: mmap.mmap | None = field(repr=False)

    def damaged(self, rows: Iterable[int]) -> list[int]:
        """Return those of some rows that the disk gives back other than they were written."""
        return [row for row in rows if self._checksum(row) != self.records["checksum"][row]]

    def _checksum(self, row: int) -> int:
        return zlib.crc32(self.pixels[row].data, zlib.crc32(self.records[row].tobytes()[:-4]))

    def forget(self) -> None:
        """Let go of the memory in which images have been looked at; the disk still has them."""
        # Windows takes such memory back by itself.
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


class Pool:
    """A pool; made where it is missing.

    Args:
        folder: where it lies.
        side: side of its images, in pixels.

    Attributes:
        n_before: how many images it had when this object was made.
    """

    def __init__(self, folder: Path, side: int) -> None:
        self.folder = folder
        self.side = side
        self._pixels, self._records = (folder / name for name in POOL_FILES[:2])
        make_folder(folder)
        with os_errors_named(folder):
            self.n_before = len(self.records())
        self._n_appended = 0

    @property
    def n_bytes_each(self) -> int:
        """Bytes of one image."""
        return self.side * self.side * 3

    def records(self) -> npt.NDArray[np.void]:
        """Return the record of each image that is there whole, ``(N,)``."""
        try:
            content = self._records.read_bytes()
            n_whole = self._pixels.stat().st_size // self.n_bytes_each
        except FileNotFoundError:  # new, or a cleaner has been through the cache
            return np.empty(0, RECORD)
        n = min(len(content) // RECORD.itemsize, n_whole)
        return np.frombuffer(content, RECORD, n)

    def append(self, images: Sequence[Prepared]) -> None:
        """Add images; they are on the disk when this returns.

        Raises:
            DataError: the disk is full, and what this pool object appended has been removed again; or it cannot be
                written to.
        """
        records = b"".join(each.record() for each in images)
        with os_errors_named(self.folder), write_lock(self.folder):
            n = len(self.records())
            try:
                pixels = [np.ascontiguousarray(each.pixels).data for each in images]
                _write_at(self._pixels, n * self.n_bytes_each, pixels)
                _write_at(self._records, n * RECORD.itemsize, [records])
            except OSError as error:
                self._undo_append(n)
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise _full(self.folder, self.n_bytes_each * len(images)) from error
                raise
            self._n_appended += len(images)

    def open(self) -> "Mapped":
        """Map the images from the disk: memory holds only what is being looked at."""
        records = self.records()
        n = len(records)
        shape = (n, self.side, self.side, 3)
        if not n:  # nothing cannot be mapped
            return Mapped(np.empty(shape, np.uint8), records, None)
        with os_errors_named(self.folder), self._pixels.open("rb") as file:
            with contextlib.suppress(OSError):  # a network's file system may not know locks
                lock(file, alone=False)
            # The map has a descriptor of its own, so the lock lasts as long as the map.
            mapped = mmap.mmap(file.fileno(), n * self.n_bytes_each, **_COPY_ON_WRITE)
        return Mapped(np.frombuffer(mapped, np.uint8).reshape(shape), records, mapped)

    def check_room(self, n_images: int) -> None:
        """Refuse to begin what cannot end.

        Raises:
            DataError: the disk has too little room for as many more images.
        """
        if n_images * self.n_bytes_each > shutil.disk_usage(self.folder).free:
            raise _full(self.folder, n_images * self.n_bytes_each)

    def _undo_append(self, n: int) -> None:
        """Free the disk of what could not be finished, unless somebody else has appended behind it, or looks at it."""
        kept = self.n_before if n == self.n_before + self._n_appended else n
        with contextlib.suppress(FileNotFoundError), self._pixels.open("rb") as file:
            try:
                lock(file, alone=True)
            except OSError:
                kept = n
        for path, size in ((self._records, RECORD.itemsize), (self._pixels, self.n_bytes_each)):
            if path.exists():
                os.truncate(path, kept * size)


class Writer:
    """Appends to a pool by chunks, in a thread of its own: the disk is waited for while others prepare.

    Args:
        pool: where images go.
        chunk_size: how many at a time.
    """

    def __init__(self, pool: Pool, chunk_size: int) -> None:
        self._pool = pool
        self._chunk_size = chunk_size
        self._waiting: list[Prepared] = []
        self._thread = ThreadPoolExecutor(1, "alexnet-pool")
        self._pending: Future[None] | None = None

    def add(self, image: Prepared) -> None:
        """Add an image; it is on the disk after ``finish``, if not before.

        Raises:
            DataError: a chunk before it could not be written.
        """
        self._waiting.append(image)
        if len(self._waiting) == self._chunk_size:
            self._append()

    def finish(self) -> None:
        """Wait until all are on the disk.

        Raises:
            DataError: some could not be written.
        """
        if self._waiting:
            self._append()
        if self._pending is not None:
            self._pending.result()
        self._thread.shutdown()

    def _append(self) -> None:
        if self._pending is not None:  # one at a time, so that memory stays flat
            self._pending.result()
        self._pending = self._thread.submit(self._pool.append, self._waiting)
        self._waiting = []


def hex_digests(records: npt.NDArray[np.void], what: Literal["content", "look"]) -> list[str]:
    """Return one digest of each record, in hexadecimal; ten times faster than one record at a time."""
    digits = records[what].tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def hashes(records: npt.NDArray[np.void]) -> list[int | None]:
    """Return the hash of each record, where it has one."""
    return [None if its == _NO_HASH else its for its in records["hash"].tolist()]


def _write_at(path: Path, offset: int, parts: Iterable[bytes | memoryview]) -> None:
    is_new = not path.exists()
    with path.open("wb" if is_new else "r+b") as file:
        # What a killed process left behind its last record.
        file.truncate(offset)
        file.seek(offset)
        for part in parts:
            file.write(part)
        sync_file(file)
    if is_new:
        sync_folder(path.parent)


def _full(folder: Path, n_bytes: int) -> DataError:
    free = shutil.disk_usage(folder).free
    return DataError(
        f"the prepared images need {n_bytes / 1e9:.1f} GB more, but {str(folder)!r} has {free / 1e9:.1f} GB free; "
        "free some space, or set ALEXNET_CACHE to a folder on a larger disk"
    )
