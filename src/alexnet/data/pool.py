"""Prepared pictures of one size on the disk, appended to and never changed.

A pool is a folder of two files. ``pixels`` holds a picture of ``side * side * 3`` bytes after another; ``records``
holds, for each in the same order, the digest of the content it was made from and the digest of its pixels. A picture
counts once its record is written. So a process may be killed at any moment, several may append at the same time, and
every source that holds the same picture shares it.
"""

import errno
import hashlib
import mmap
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from alexnet.data.image import Pixels
from alexnet.errors import DataError

RECORD = np.dtype([("content", "V16"), ("look", "V16")])


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
        self._pixels, self._records = folder / "pixels", folder / "records"
        self._lock = FileLock(folder / "lock")
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

    def append(self, pictures: Sequence[Pixels], digests: Sequence[str]) -> None:
        """Add pictures ``(side, side, 3)``, by the digest of their content.

        Raises:
            DataError: the disk is full; what this pool object appended has been removed again.
        """
        records = np.empty(len(pictures), RECORD)
        for record, picture, content in zip(records, pictures, digests, strict=True):
            look = hashlib.sha256(np.ascontiguousarray(picture).data).digest()[:16]
            record["content"], record["look"] = bytes.fromhex(content), look
        with self._lock:
            n = len(self.records())
            try:
                _write_at(self._pixels, n * self.n_bytes_each, [np.ascontiguousarray(each) for each in pictures])
                _write_at(self._records, n * RECORD.itemsize, [records])
            except OSError as error:
                self._give_back(n)
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise _full(self.folder, self.n_bytes_each * len(pictures)) from error
                raise
            self._n_appended += len(pictures)

    def open(self) -> tuple[Pixels, mmap.mmap]:
        """Map the pictures, ``(N, side, side, 3)``, from the disk: memory holds only what is being looked at."""
        n = len(self.records())
        with self._pixels.open("rb") as file:
            # Copy on write: torch insists on memory that it could write to, and the file stays as it is.
            mapped = mmap.mmap(file.fileno(), n * self.n_bytes_each, access=mmap.ACCESS_COPY)
        return np.frombuffer(mapped, np.uint8).reshape(n, self.side, self.side, 3), mapped

    def check_room(self, n_pictures: int) -> None:
        """Refuse to begin what cannot end.

        Raises:
            DataError: the disk has too little room for as many more pictures.
        """
        if n_pictures * self.n_bytes_each > shutil.disk_usage(self.folder).free:
            raise _full(self.folder, n_pictures * self.n_bytes_each)

    def _give_back(self, n: int) -> None:
        """Free the disk of what could not be finished, unless somebody else has appended behind it."""
        kept = self._n_before if n == self._n_before + self._n_appended else n
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
