"""Where a new run goes: never where anything is, nor where anything appears meanwhile."""

import itertools
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alexnet.data.source import Source
from alexnet.errors import RunError
from alexnet.paths import expanded

T = TypeVar("T")


def refuse_existing(folder: Path) -> None:
    """Refuse to train into a folder that holds anything.

    Raises:
        RunError: something is there already.
    """
    if (folder / "settings.json").exists():
        raise RunError(
            f"{str(folder)!r} holds another run, which is never overwritten; "
            f"choose another --out, or continue it with --resume {shlex.quote(str(folder))}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{str(folder)!r} exists and is not an empty folder; choose another --out")
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(
            f"{str(folder)!r} cannot be made, because {str(parent)!r} cannot be written to; choose another --out"
        )


def claim(out: str | os.PathLike[str] | None, source: Source, make: Callable[[Path], T], ending: str = "") -> T:
    """Make a folder where nothing is, and return what ``make`` returns.

    Args:
        out: where; ``runs/NAME``, or ``runs/NAME-2`` and so on, where not given, NAME being the source's.
        source: the pictures.
        make: makes the folder, or raises ``FileExistsError`` where another process has been quicker.
        ending: what follows the name.

    Raises:
        RunError: something is at ``out``.
    """
    while True:
        folder = expanded(out) if out else _free_folder(source, ending)
        try:
            return make(folder)
        except FileExistsError as error:
            if out:
                raise RunError(
                    f"something has appeared at {str(folder)!r} since this began, and is left as it is; "
                    "choose another --out"
                ) from error


def _free_folder(source: Source, ending: str) -> Path:
    path = Path(source.name)
    # Of photos.tar.gz and photos/manifest.csv, "photos" says most.
    name = path.parent.name if path.stem == "manifest" else path.name.partition(".")[0] or path.name
    name = name.replace(":", "-") + ending
    numbers = (Path("runs", name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in numbers if not os.path.lexists(folder))
