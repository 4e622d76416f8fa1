"""The cache folder of prepared images, and the lock that lets one process write at a time.

CACHE/catalogues/   what is known about each source's images: an unchanged image is never read again
      stores/       pools of prepared images, by size, resize mode and what has resized them
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

# The files of a pool. The last two are locks: for disks that support locking, and for disks that do not.
POOL_FILES = ("pixels", "records", "lock", "turn")
# Writing a chunk takes 0.1 s. A process that holds the lock this long hangs, or died on another machine.
MAX_LOCK_SECONDS = 300.0
_NO_LOCKS = UNSUPPORTED | {errno.ENOLCK}


def cache_folder() -> Path:
    """Return the folder for prepared images.

    It is ``ALEXNET_CACHE``, else the platform's cache folder. If that is not writable, as in a container without a home
    folder, it is a folder of this user in the system's temporary folder, and ``warnings`` reports it.

    Raises:
        DataError: no folder is writable.
    """
    given = os.environ.get("ALEXNET_CACHE")
    if given:
        return Path(given)
    usual = _platform_cache()
    return usual if _is_writable(usual) else _temporary_cache(usual)


def warnings() -> tuple[str, ...]:
    """Return what a user should know about the place of the cache, a line each."""
    folder, usual = cache_folder(), _platform_cache()
    if os.environ.get("ALEXNET_CACHE") or folder == usual:
        return ()
    return (
        f"prepared images are stored in {str(folder)!r}, because {str(usual)!r} is not writable; "
        "set ALEXNET_CACHE to a permanent folder",
    )


def catalogues_folder() -> Path:
    """Return the folder for catalogues."""
    return cache_folder() / "catalogues"


def stores_folder() -> Path:
    """Return the folder for pools of prepared images."""
    return cache_folder() / "stores"


def clear() -> int:
    """Delete all prepared images and catalogues, and nothing else; return the number of bytes freed."""
    freed = 0
    files = list(_cached_files())
    for file in files:
        freed += file.stat().st_size
        file.unlink()
    for folder in (*{file.parent for file in files}, stores_folder(), catalogues_folder()):
        with contextlib.suppress(OSError):  # it is a link, or holds other files
            folder.rmdir()
    return freed


def cache_size() -> int:
    """Return the size of all prepared images and catalogues in bytes."""
    return sum(file.stat().st_size for file in _cached_files())


@contextlib.contextmanager
def os_errors_named(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into an error that names a folder of the cache and says what to do.

    Raises:
        DataError: instead of any ``OSError``.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise deleted_error(folder) from error
    except OSError as error:
        raise _unusable(folder, error) from error


def make_folder(folder: Path) -> None:
    """Create a folder of the cache if it is missing.

    Raises:
        DataError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # not os_errors_named: a missing parent would read as a deleted folder
        raise _unusable(folder, error) from error


def deleted_error(folder: Path) -> DataError:
    """Return the error for prepared images that another process has just deleted."""
    return DataError(f"another process deleted prepared images in {str(folder)!r}; start again")


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot use the prepared images in {str(folder)!r}: {error.strerror or error}; "
        "set ALEXNET_CACHE to a writable folder on this machine"
    )


@contextlib.contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Be the only process that writes to a pool.

    Many network disks and some container disks do not support locking; there, the existence of a file is the lock.

    Raises:
        DataError: another process has held the lock for ``MAX_LOCK_SECONDS``.
    """
    file_lock = _file_lock(folder)
    try:
        file_lock.acquire(timeout=MAX_LOCK_SECONDS)
    except Timeout:
        raise DataError(
            f"another process has been writing to the prepared images in {str(folder)!r} for "
            f"{MAX_LOCK_SECONDS / 60:.0f} minutes; stop it, or if there is none, delete {file_lock.lock_file!r}"
        ) from None
    try:
        yield
    finally:
        file_lock.release()


def _file_lock(folder: Path) -> BaseFileLock:
    hard, soft = (folder / name for name in POOL_FILES[2:])
    with hard.open("ab") as file:
        # FileLock cannot choose by itself: it would take its own file for the lock of another process.
        return FileLock(hard) if _supports_locks(file) else SoftFileLock(soft)


def _supports_locks(file: BinaryIO) -> bool:
    try:
        lock(file, alone=False)
    except OSError as error:  # other errors mean that another process holds the lock
        return error.errno not in _NO_LOCKS
    return True


def _platform_cache() -> Path:
    """Return the platform's cache folder; it begins with a tilde for an unknown user without a home folder."""
    try:
        return Path(platformdirs.user_cache_dir("alexnet", appauthor=False))
    except RuntimeError:
        return Path("~", ".cache", "alexnet")


def _is_writable(folder: Path) -> bool:
    """Return whether a folder is writable or can be created."""
    there = next((each for each in (folder, *folder.parents) if os.path.exists(each)), folder)  # noqa: PTH110 - never raises
    return folder.is_absolute() and os.access(there, os.W_OK | os.X_OK)


def _temporary_cache(usual: Path) -> Path:
    """Return a folder in the temporary one that no other user can write to; it is created if missing."""
    try:
        user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""  # on Windows each user has a temporary folder
        folder = Path(tempfile.gettempdir(), f"alexnet{user}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (user and folder.stat().st_uid != os.getuid()) or not _is_writable(folder):
            raise PermissionError(errno.EACCES, "it is another user's")
    except OSError as error:
        raise DataError(
            f"no place for prepared images: {str(usual)!r} and the system's temporary folder are not writable; "
            "set ALEXNET_CACHE to a writable folder"
        ) from error
    return folder


def _cached_files() -> Iterator[Path]:
    """Yield the files that this package has written to the cache, by their names."""
    for file in stores_folder().glob("*/*"):
        if re.fullmatch(r"\d+-[a-z]+-\d+(\.\d+)?(-pillow)?", file.parent.name) and file.name in POOL_FILES:
            yield file
    for file in catalogues_folder().glob("*.json"):
        if re.fullmatch(r"[0-9a-f]{32}\.json", file.name):
            yield file
