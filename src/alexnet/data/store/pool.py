"""Prepared images of one size on the disk. Images are appended and never changed.

A pool is a folder of two files. ``pixels`` holds the images, ``side * side * 3`` bytes each. ``records`` holds a record
for each image in the same order: the digest of its file's content, the digest of its pixels, a perceptual hash, whether
it is grey, and a checksum of these and of the stored pixels. An image counts once its record is written, and its pixels
are on the disk before that. So a process may be killed at any moment, several may append at the same time, and all
sources with the same image share it.
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

# CRC-32 finds the damage that disks do. It takes 0.08 ms for an image of 256 px on one core, SHA-256 0.14 ms.
RECORD = np.dtype([("content", "V16"), ("pixel_digest", "V16"), ("hash", "<u8"), ("is_grey", "?"), ("checksum", "<u4")])
# Increase it when records change.
LAYOUT = 3
# Stands for "no hash". A real hash has at most half of its bits set.
_NO_HASH = 2**64 - 1
# torch needs writable memory; with copy-on-write the file never changes. On Linux, MAP_NORESERVE allows a map that is
# larger than the memory.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # in Python's mmap since 3.13
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
        content: digest of its file's content, in hexadecimal.
        pixel_digest: digest of its pixels, in hexadecimal.
        hash: its perceptual hash, 64 bits; None if it shows too little.
        is_grey: whether the three channels of each of its pixels are equal.
    """

    pixels: Pixels
    content: str
    pixel_digest: str
    hash: int | None
    is_grey: bool

    def record(self) -> bytes:
        """Return its record as bytes."""
        digests = bytes.fromhex(self.content + self.pixel_digest)
        known = digests + (_NO_HASH if self.hash is None else self.hash).to_bytes(8, "little") + bytes([self.is_grey])
        checksum = zlib.crc32(np.ascontiguousarray(self.pixels).data, zlib.crc32(known))
        return known + checksum.to_bytes(4, "little")


@dataclass(frozen=True)
class Mapped:
    """The images of a pool, mapped from the disk.

    Attributes:
        pixels: ``(N, side, side, 3)`` uint8.
        records: the record of each image, ``(N,)``.
    """

    pixels: Pixels
    records: npt.NDArray[np.void]
    _mapped: mmap.mmap | None = field(repr=False)

    def damaged(self, rows: Iterable[int]) -> list[int]:
        """Return the rows that the disk has damaged: their checksum differs."""
        return [row for row in rows if self._checksum(row) != self.records["checksum"][row]]

    def _checksum(self, row: int) -> int:
        return zlib.crc32(self.pixels[row].data, zlib.crc32(self.records[row].tobytes()[:-4]))

    def forget(self) -> None:
        """Free the memory of images that have been read; they stay on the disk."""
        # Windows frees such memory by itself.
        if self._mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


class Pool:
    """A pool; created if it is missing.

    Args:
        folder: its folder.
        side: side of its images, in pixels.

    Attributes:
        n_before: how many images it had when this object was created.
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
        """Return the records of all complete images, ``(N,)``."""
        try:
            content = self._records.read_bytes()
            n_whole = self._pixels.stat().st_size // self.n_bytes_each
        except FileNotFoundError:  # a new pool, or one whose files were deleted
            return np.empty(0, RECORD)
        n = min(len(content) // RECORD.itemsize, n_whole)
        return np.frombuffer(content, RECORD, n)

    def append(self, images: Sequence[Prepared]) -> None:
        """Add images; they are on the disk when this returns.

        Raises:
            DataError: the disk is full, and all that this object appended has been removed again; or the pool is not
                writable.
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
        """Map the images from the disk: memory holds only those that are read."""
        records = self.records()
        n = len(records)
        shape = (n, self.side, self.side, 3)
        if not n:  # an empty file cannot be mapped
            return Mapped(np.empty(shape, np.uint8), records, None)
        with os_errors_named(self.folder), self._pixels.open("rb") as file:
            with contextlib.suppress(OSError):  # the disk may not support locking
                lock(file, alone=False)
            # The map has its own descriptor, so the lock lasts as long as the map.
            mapped = mmap.mmap(file.fileno(), n * self.n_bytes_each, **_COPY_ON_WRITE)
        return Mapped(np.frombuffer(mapped, np.uint8).reshape(shape), records, mapped)

    def check_room(self, n_images: int) -> None:
        """Check for free disk space before the work starts.

        Raises:
            DataError: the disk has too little space for as many more images.
        """
        if n_images * self.n_bytes_each > shutil.disk_usage(self.folder).free:
            raise _full(self.folder, n_images * self.n_bytes_each)

    def _undo_append(self, n: int) -> None:
        """Remove what this object appended, unless another process has appended after it or has mapped it."""
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
    """Appends images to a pool in chunks, in a thread of its own, so that other threads never wait for the disk.

    Args:
        pool: the pool.
        chunk_size: how many images are written at a time.
    """

    def __init__(self, pool: Pool, chunk_size: int) -> None:
        self._pool = pool
        self._chunk_size = chunk_size
        self._waiting: list[Prepared] = []
        self._thread = ThreadPoolExecutor(1, "alexnet-pool")
        self._pending: Future[None] | None = None

    def add(self, image: Prepared) -> None:
        """Add an image; it is on the disk after ``finish``, perhaps earlier.

        Raises:
            DataError: an earlier chunk could not be written.
        """
        self._waiting.append(image)
        if len(self._waiting) == self._chunk_size:
            self._append()

    def finish(self) -> None:
        """Wait until all images are on the disk.

        Raises:
            DataError: some could not be written.
        """
        if self._waiting:
            self._append()
        if self._pending is not None:
            self._pending.result()
        self._thread.shutdown()

    def _append(self) -> None:
        if self._pending is not None:  # one chunk at a time, so that memory stays constant
            self._pending.result()
        self._pending = self._thread.submit(self._pool.append, self._waiting)
        self._waiting = []


def hex_digests(records: npt.NDArray[np.void], what: Literal["content", "pixel_digest"]) -> list[str]:
    """Return one digest of each record, in hexadecimal; ten times as fast as record by record."""
    digits = records[what].tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def hashes(records: npt.NDArray[np.void]) -> list[int | None]:
    """Return the hash of each record; None if it has none."""
    return [None if number == _NO_HASH else number for number in records["hash"].tolist()]


def _write_at(path: Path, offset: int, parts: Iterable[bytes | memoryview]) -> None:
    is_new = not path.exists()
    with path.open("wb" if is_new else "r+b") as file:
        # A killed process may have left bytes after the last complete image.
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
