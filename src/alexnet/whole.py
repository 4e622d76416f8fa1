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
from typing import BinaryIO

# What begins with this beside its place was being written when a process was killed.
UNFINISHED = ".unfinished-"


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
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
            sync(path)
        try:
            unfinished.rename(folder)
        except OSError as error:
            # Systems say in several ways that something is there: not empty, no folder, exists, no permission.
            if os.path.lexists(folder):
                raise FileExistsError(errno.EEXIST, "something is there already", str(folder)) from error
            raise
        sync(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one piece, replacing what was there."""
    unfinished = _beside(path)
    try:
        unfinished.write_text(text, encoding="utf-8")
        sync(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk: else a power cut may leave zeros."""
    if path.is_dir() and sys.platform == "win32":  # which has no such thing for folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows syncs only what may be written
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system that knows no such thing
            raise
    finally:
        os.close(descriptor)


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


def lock(file: BinaryIO, *, alone: bool) -> None:
    """Say that a file is in use, or make sure that nobody else uses it, until its last descriptor is closed.

    Raises:
        OSError: somebody does.
    """
    if sys.platform != "win32":  # which lets nobody change a file that is in use
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def _beside(path: Path) -> Path:
    # Of its own name in each process: two may prepare the same pictures at the same time.
    return path.with_name(f"{UNFINISHED}{path.name}-{os.getpid()}-{secrets.token_hex(3)}")
