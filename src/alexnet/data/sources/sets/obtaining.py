"""Opens a split of one of torchvision's sets; if it is missing, it is unpacked from an archive or downloaded.

The files have torchvision's layout, so a folder that torchvision has filled works as it is.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from alexnet.data.sources.sets import download_process
from alexnet.data.sources.sets.torchvision_sets import TorchvisionSet, construct, reason, unpack
from alexnet.errors import DataError
from alexnet.files.atomic import UNFINISHED, delete_unfinished
from alexnet.files.download import announce

# If the user put an archive there, it is unpacked and nothing is downloaded; torchvision verifies its checksum.
_ARCHIVES = (".tgz", ".tar", ".gz", ".zip", ".bz2", ".mat", ".bin")
_DAY = 86400


class MissingError(Exception):
    """A split that is missing and cannot be downloaded."""


def obtain(name: str, row: TorchvisionSet, root: Path, split: str | None) -> tuple[Any, bool]:
    """Return torchvision's data set, and whether it was just downloaded or unpacked from an archive."""
    try:
        return construct(row, root, split, unpack=False), False
    except ImportError as error:
        raise DataError(f"{name!r} needs torchvision ({error}); pip install torchvision") from error
    except Exception as error:  # damaged data can raise nearly anything; a new copy replaces it
        absent = isinstance(error, RuntimeError) or getattr(error, "errno", None) is not None
        here = "" if absent else f"; the copy there is damaged: {reason(error)}"
    if row.by_hand and not root.is_dir():
        raise MissingError
    try:
        _fetch(name, row, root, split)
        return construct(row, root, split, unpack=False), True
    except Exception as error:
        if row.by_hand and isinstance(error, RuntimeError):
            raise MissingError from error
        doing = "unpack" if row.by_hand else "download"
        raise DataError(
            f"cannot {doing} {name!r} to {str(root)!r}: {reason(error)}{here}; "
            "download it elsewhere and give its folder with --data-dir"
        ) from error


def _fetch(name: str, row: TorchvisionSet, root: Path, split: str | None) -> None:
    """Download and unpack one split into a temporary folder, then move it to ``root``.

    Most of torchvision's classes take a folder that exists for a complete set, so it must never be half-full.
    """
    if not row.by_hand:
        announce(f"missing files of {name}{f' ({split})' if split else ''}", root)
    created = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        delete_unfinished(root, older_than=_DAY)
        beside = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{name}-", dir=root))
        try:
            _copy_archives(root, beside)
            if row.by_hand or not download_process.is_needed():
                unpack(row, beside, split)
            else:
                download_process.unpack(name, beside, split)
            _merge_into(beside, root)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    finally:
        for folder in created:
            with contextlib.suppress(OSError):
                folder.rmdir()  # works only if it is empty


def _copy_archives(root: Path, beside: Path) -> None:
    for pattern in ("*", "*/*", "*/*/*"):  # no class of torchvision puts them deeper
        for file in root.glob(pattern):
            if file.suffix in _ARCHIVES and file.is_file() and beside not in file.parents:
                place = beside / file.relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                # A copy, not a link: torchvision overwrites an archive with a wrong checksum.
                shutil.copyfile(file, place)


def _merge_into(folder: Path, place: Path) -> None:
    for entry in folder.iterdir():
        target = place / entry.name
        if entry.is_dir() and target.is_dir():
            _merge_into(entry, target)
        else:
            entry.replace(target)
