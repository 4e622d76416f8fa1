"""Where prepared images are kept, and how processes take turns to write there.

CACHE/catalogues/   what is known of each source's images: an image that has not changed is never read again
      stores/       pools of prepared images, by size and by how they were made square
"""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs
from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from alexnet.errors import DataError
from alexnet.files.atomic import UNSUPPORTED, lock

# Of a pool. The last two say whose turn it is: where a disk knows locks, and where it does not.
FILES = ("pixels", "records", "lock", "turn")
# Writing a chunk takes a tenth of a second. Who needs this long has stopped, or died where nobody can see it.
LONGEST_TURN_SECONDS = 300.0
_NO_LOCKS = UNSUPPORTED | {errno.ENOLCK}


def cache_folder() -> Path:
    """Return where prepared images are kept.

    It is what ``ALEXNET_CACHE`` says, else the platform's cache folder. Where that cannot be written, as in a container
    without a home, it is a folder of this user's in the system's temporary one; ``warnings`` says so.

    Raises:
        DataError: none of them can be written.
    """
    given = os.environ.get("ALEXNET_CACHE")
    if given:
        return Path(given)
    usual = _usual()
    return usual if _can_be_written(usual) else _temporary(usual)


def warnings() -> tuple[str, ...]:
    """Return what a user should know about where the cache is, a line each."""
    folder, usual = cache_folder(), _usual()
    if os.environ.get("ALEXNET_CACHE") or folder == usual:
        return ()
    return (
        f"prepared images are kept in {str(folder)!r}, since {str(usual)!r} cannot be written to; "
        "set ALEXNET_CACHE to a folder that stays",
    )


def catalogues_folder() -> Path:
    """Return where catalogues are kept."""
    return cache_folder() / "catalogues"


def stores_folder() -> Path:
    """Return where pools of prepared images are kept."""
    return cache_folder() / "stores"


def clear() -> int:
    """Delete everything that has been prepared, and nothing else; return how many bytes that frees."""
    freed = 0
    files = list(_cached_files())
    for file in files:
        freed += file.stat().st_size
        file.unlink()
    for folder in (*{file.parent for file in files}, stores_folder(), catalogues_folder()):
        with contextlib.suppress(OSError):  # it is a link, or holds something of somebody else's
            folder.rmdir()
    return freed


def cache_size() -> int:
    """Return the bytes of everything that has been prepared."""
    return sum(file.stat().st_size for file in _cached_files())


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Say of what the system refuses in a folder of the cache where that is, and what can be done.

    Raises:
        DataError: instead of any ``OSError`` of the block.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise deleted(folder) from error
    except OSError as error:
        raise _unusable(folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder of the cache where it is missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # also where nothing of it is there, and nothing can be made
        raise _unusable(folder, error) from error


def deleted(folder: Path) -> DataError:
    """Return the error of prepared images that were there a moment ago."""
    return DataError(f"prepared images were deleted from {str(folder)!r} at the same time; start again")


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot use the prepared images in {str(folder)!r}: {error.strerror or error}; "
        "set ALEXNET_CACHE to a folder on this machine that can be written to"
    )


@contextlib.contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a pool.

    Where the disk knows no locks, as many network disks and some of containers, a file that exists stands for one.

    Raises:
        DataError: another process has kept its turn for longer than any needs.
    """
    turns = _turns(folder)
    try:
        turns.acquire(timeout=LONGEST_TURN_SECONDS)
    except Timeout:
        raise DataError(
            f"another process has been writing to the prepared images in {str(folder)!r} for "
            f"{LONGEST_TURN_SECONDS / 60:.0f} minutes; stop it, or if there is none, delete {turns.lock_file!r}"
        ) from None
    try:
        yield
    finally:
        turns.release()


def _turns(folder: Path) -> BaseFileLock:
    hard, soft = (folder / name for name in FILES[2:])
    with hard.open("ab") as file:
        # Not left to FileLock: it would take the file that it made itself for another process's turn.
        return FileLock(hard) if _knows_locks(file) else SoftFileLock(soft)


def _knows_locks(file: BinaryIO) -> bool:
    try:
        lock(file, alone=False)
    except OSError as error:  # or that another has it
        return error.errno not in _NO_LOCKS
    return True


def _usual() -> Path:
    """Return the platform's cache folder; it begins with a tilde for a user who has no home and is not known."""
    try:
        return Path(platformdirs.user_cache_dir("alexnet", appauthor=False))
    except RuntimeError:
        return Path("~", ".cache", "alexnet")


def _can_be_written(folder: Path) -> bool:
    """Return whether a folder can be written to, or made."""
    there = next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)  # noqa: PTH110 - never raises
    return folder.is_absolute() and os.access(there, os.W_OK | os.X_OK)


def _temporary(usual: Path) -> Path:
    """Return a folder that no other user can write to, made where it is missing."""
    try:
        user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # on Windows each has a temporary folder
        folder = Path(tempfile.gettempdir(), f"alexnet{user}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (user and folder.stat().st_uid != os.getuid()) or not _can_be_written(folder):
            raise PermissionError(errno.EACCES, "it is another user's")
    except OSError as error:
        raise DataError(
            f"prepared images cannot be kept anywhere: {str(usual)!r} and the system's temporary folder cannot be "
            "written to; set ALEXNET_CACHE to a folder that can"
        ) from error
    return folder


def _cached_files() -> Iterator[Path]:
    """Yield the files that this package has put into the cache, going by their names."""
    for file in stores_folder().glob("*/*"):
        if re.fullmatch(r"\d+-[a-z]+-\d+(\.\d+)?", file.parent.name) and file.name in FILES:
            yield file
    for file in catalogues_folder().glob("*.json"):
        if re.fullmatch(r"[0-9a-f]{32}\.json", file.name):
            yield file
