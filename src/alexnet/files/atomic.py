"""Atomic files and folders: they appear complete or not at all, even if the process is killed. And file locks.

By hand: the package atomicwrites is no longer maintained and knows no folders.
"""

import errno
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

# The prefix of files and folders that are still being written, or were when a process was killed.
UNFINISHED = ".unfinished-"
# The errors of file systems that do not support a call.
UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into. It becomes ``folder`` when the block succeeds, and is deleted when it raises.

    Raises:
        FileExistsError: something has appeared at ``folder`` meanwhile. It is kept, unless it is an empty folder.
    """
    unfinished = _unfinished_path(folder)
    unfinished.mkdir()
    try:
        yield unfinished
        for path in (*unfinished.rglob("*"), unfinished):
            _sync_path(path)
        try:
            unfinished.rename(folder)
        except OSError as error:
            # Systems report this in several ways: not empty, not a folder, exists, no permission.
            if os.path.lexists(folder):
                raise FileExistsError(errno.EEXIST, "it exists already", str(folder)) from error
            raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write or replace a text file atomically. Its content is on the disk before it gets its name."""
    with atomic_file(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write into. It becomes ``path``, or replaces it, when the block succeeds."""
    unfinished = _unfinished_path(path)
    try:
        with unfinished.open("wb") as file:
            yield file
            sync_file(file)
        unfinished.replace(path)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path of the same name, to write a file or a folder to. It becomes ``path`` when the block succeeds.

    A file or a folder at ``path`` is replaced. For writers that need the ending of the name, or that write a folder.
    """
    folder = _unfinished_path(path)
    folder.mkdir()
    try:
        unfinished, older = folder / path.name, folder / "older"
        yield unfinished
        for each in (*unfinished.rglob("*"), unfinished):
            _sync_path(each)
        if path.is_dir() and not path.is_symlink():  # no system replaces a folder by another
            path.rename(older)
        try:
            unfinished.replace(path)
        except OSError:
            if older.exists():
                older.rename(path)
            raise
        sync_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def delete_unfinished(folder: Path, older_than: float = 0.0) -> None:
    """Delete the unfinished files that killed processes left in a folder.

    Args:
        folder: where to look.
        older_than: delete only what is older, in seconds. With 0, no other process may be writing there now.
    """
    for path in folder.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime < older_than:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_file(file: IO[Any]) -> None:
    """Wait until the content of a file is on the disk, if its file system supports that."""
    file.flush()
    _sync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if its file system supports that."""
    if sys.platform == "win32":  # Windows cannot open folders
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # some folders can be written but not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync_path(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("r+b") as file:  # Windows syncs only files that are open for writing
        sync_file(file)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def lock(file: BinaryIO, *, alone: bool) -> None:
    """Lock a file until its last descriptor is closed: shared, or ``alone`` for an exclusive lock.

    Raises:
        OSError: another process holds a lock that excludes this one.
    """
    if sys.platform != "win32":  # Windows protects files that are in use by itself
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def _unfinished_path(path: Path) -> Path:
    # Each process has its own name: two may prepare the same images at the same time.
    return path.with_name(f"{UNFINISHED}{path.name}-{os.getpid()}-{secrets.token_hex(3)}")
