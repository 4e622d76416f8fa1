"""Where a new run goes: never where anything is, nor where anything appears meanwhile."""

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


def refuse_existing(out: str | os.PathLike[str]) -> None:
    """Refuse to train into a folder that holds anything, or that cannot be made.

    Raises:
        RunError: it is so.
    """
    folder = _folder(out)
    if (folder / "settings.json").exists():
        raise RunError(
            f"{str(folder)!r} holds another run, which is never overwritten; "
            f"choose another --out, or continue it with --resume {shlex.quote(str(folder))}"
        )
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{str(folder)!r} exists and is not an empty folder; choose another --out")
    if folder.absolute() == Path.cwd():
        raise RunError("--out is the folder in which this was started; name a new one, as --out runs/mine")
    _refuse_unmakeable(folder)


def claim(out: str | os.PathLike[str] | None, source: Source, make: Callable[[Path], T], ending: str = "") -> T:
    """Make a folder where nothing is, and return what ``make`` returns.

    Args:
        out: where; ``runs/NAME``, or ``runs/NAME-2`` and so on, where not given, NAME being the source's.
        source: the images.
        make: makes the folder, or raises ``FileExistsError`` where another process has been quicker.
        ending: what follows the name.

    Raises:
        RunError: something is at ``out``, or it cannot be made.
    """
    while True:
        folder = _folder(out) if out else _free_folder(source, ending)
        _refuse_unmakeable(folder)
        try:
            return make(folder)
        except FileExistsError as error:
            if out:
                raise RunError(
                    f"something has appeared at {str(folder)!r} since this began, and is left as it is; "
                    "choose another --out"
                ) from error


def _folder(out: str | os.PathLike[str]) -> Path:
    """Return the folder that is meant; of a link to one, that one."""
    folder = expanded(out)
    return folder.resolve() if folder.is_symlink() and folder.is_dir() else folder


def _refuse_unmakeable(folder: Path) -> None:
    # A link to nowhere is something too, and no folder can be made in it.
    parent = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(
            f"{str(folder)!r} cannot be made, because {str(parent)!r} cannot be written to; choose another --out"
        )


def _free_folder(source: Source, ending: str) -> Path:
    path = Path(source.name)
    # Of images.tar.gz and images/manifest.csv, "images" says most.
    name = path.parent.name if path.stem == "manifest" else path.name.partition(".")[0] or path.name
    name = name.replace(":", "-") + ending
    numbers = (Path("runs", name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in numbers if not os.path.lexists(folder))
