"""Files and folders that appear whole or not at all, whenever a process is killed, and locks on them."""

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

# What begins with this beside its place was being written when a process was killed.
UNFINISHED = ".unfinished-"
# What file systems answer that do not know a call.
UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into; it becomes ``folder`` if the block ends well, and is deleted if it does not.

    Raises:
        FileExistsError: something has appeared at ``folder`` meanwhile. It is left as it is; only an empty folder gives
            way.
    """
    unfinished = _beside(folder)
    unfinished.mkdir()
    try:
        yield unfinished
        for path in (*unfinished.rglob("*"), unfinished):
            _sync_path(path)
        try:
            unfinished.rename(folder)
        except OSError as error:
            # Systems say in several ways that something is there: not empty, no folder, exists, no permission.
            if os.path.lexists(folder):
                raise FileExistsError(errno.EEXIST, "something is there already", str(folder)) from error
            raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file in one piece, replacing what was there; it is on the disk before it has its name."""
    with atomic_file(path) as file:
        file.write(text.encode())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write into; it becomes ``path``, in place of what was there, if the block ends well."""
    unfinished = _beside(path)
    try:
        with unfinished.open("wb") as file:
            yield file
            sync_file(file)
        unfinished.replace(path)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def delete_unfinished(folder: Path, older_than: float = 0.0) -> None:
    """Delete what killed processes left half-written in a folder.

    Args:
        folder: where to look.
        older_than: seconds since it was begun; at 0, nobody else may be writing there now.
    """
    for path in folder.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime < older_than:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_file(file: IO[Any]) -> None:
    """Wait until what was written to a file is on the disk, where its file system can say so."""
    file.flush()
    _sync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where its file system can say so."""
    if sys.platform == "win32":  # which opens no folders
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder may be written to by who may not list it
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync_path(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("r+b") as file:  # Windows waits for what may be written only
        sync_file(file)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise


def lock(file: BinaryIO, *, alone: bool) -> None:
    """Say that a file is in use, or make sure that nobody else uses it, until its last descriptor is closed.

    Raises:
        OSError: somebody does.
    """
    if sys.platform != "win32":  # which lets nobody change a file that is in use
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def _beside(path: Path) -> Path:
    # Of its own name in each process: two may prepare the same images at the same time.
    return path.with_name(f"{UNFINISHED}{path.name}-{os.getpid()}-{secrets.token_hex(3)}")
