"""The output folder of a new run; existing files are never overwritten."""

import itertools
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alexnet.data.source import Source
from alexnet.errors import RunError
from alexnet.files.paths import expanded

T = TypeVar("T")


def check_out_folder(out: str | os.PathLike[str]) -> None:
    """Check that a folder is missing or empty, and that it can be created.

    Raises:
        RunError: it is not empty, or cannot be created.
    """
    folder = _folder(out)
    if (folder / "settings.json").exists():
        raise RunError(
            f"{str(folder)!r} is another run, which is never overwritten; "
            f"choose another --out, or continue it with --resume {shlex.quote(str(folder))}"
        )
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{str(folder)!r} exists and is not an empty folder; choose another --out")
    if folder.absolute() == Path.cwd():
        raise RunError("--out is the current folder; choose a new one, such as --out runs/mine")
    _check_creatable(folder)


def create_out_folder(
    out: str | os.PathLike[str] | None, source: Source, make: Callable[[Path], T], ending: str = ""
) -> T:
    """Create a new folder with ``make``, and return what it returns.

    Args:
        out: the folder; by default ``runs/NAME`` or the first free one of ``runs/NAME-2`` and so on, with the name of
            the source.
        source: the images.
        make: creates the folder, or raises ``FileExistsError`` if it exists.
        ending: suffix of a default name.

    Raises:
        RunError: ``out`` exists, or cannot be created.
    """
    while True:
        folder = _folder(out) if out else _free_folder(source, ending)
        _check_creatable(folder)
        try:
            return make(folder)
        except FileExistsError as error:
            if out:
                raise RunError(
                    f"{str(folder)!r} was created by someone else meanwhile and is left unchanged; choose another --out"
                ) from error


def _folder(out: str | os.PathLike[str]) -> Path:
    """Return the folder; links to folders are followed."""
    folder = expanded(out)
    return folder.resolve() if folder.is_symlink() and folder.is_dir() else folder


def _check_creatable(folder: Path) -> None:
    # lexists, since a broken link exists too, and nothing can be created in it.
    parent = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(
            f"{str(folder)!r} cannot be created, because {str(parent)!r} is not writable; choose another --out"
        )


def _free_folder(source: Source, ending: str) -> Path:
    path = Path(source.name)
    # "images" for both images.tar.gz and images/manifest.csv.
    name = path.parent.name if path.stem == "manifest" else path.name.partition(".")[0] or path.name
    name = name.replace(":", "-") + ending
    numbers = (Path("runs", name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in numbers if not os.path.lexists(folder))
