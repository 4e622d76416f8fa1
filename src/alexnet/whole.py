"""Files and folders that appear whole or not at all, whenever a process is killed, and locks on them."""

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
    """Yield a new folder to write into; it becomes ``folder`` if the block ends well, and is deleted if it does not.

    A folder already there is replaced.
    """
    unfinished, old = _beside(folder), _beside(folder)
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one piece, replacing what was there."""
    unfinished = _beside(path)
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
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
