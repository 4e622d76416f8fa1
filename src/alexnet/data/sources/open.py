"""Opens a folder, manifest, archive, named set or hub data set as a ``Source``."""

import difflib
import os
import shlex
from pathlib import Path

from alexnet.data.source import Source
from alexnet.data.sources.folders.archive import ARCHIVE_ENDINGS, open_archive
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.folders.labels import split_by_folders
from alexnet.data.sources.folders.layout import open_container
from alexnet.data.sources.tables.manifest import open_manifest
from alexnet.data.sources.tables.table import TABLE_ENDINGS, is_table
from alexnet.errors import DataError, SettingsError
from alexnet.files.paths import expanded, is_taken

# The prefix that marks a name as that of a set, also if a file here has this name: set:pets.
SET = "set:"


def open_source(
    data: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None, *, recorded: bool = False
) -> Source:
    """Find the labelled images that ``data`` names.

    Args:
        data: a folder of class folders, a folder of splits with class folders, or another layout in ``docs/data.md``; a
            table (``.csv``, ``.tsv``, ``.jsonl``) with the columns ``path``, ``label`` and optionally ``split``, or
            others with the same meaning; a ``.zip`` or ``.tar`` archive of any of these; the name of a set, such as
            ``digits``, or ``set:digits`` if a file or folder here is named digits; or ``hf:`` and a Hugging Face data
            set. A ``Path`` is never the name of a set.
        data_dir: the folder that holds named sets, or to which they are downloaded. Default: a folder in the user's
            data directory.
        recorded: whether ``data`` comes from a run's records. Then the name of a set always means the set.

    Raises:
        DataError: nothing is there, no images, or no class folders; or a name is both a set and a file or folder.
        SettingsError: ``data_dir`` is given, but ``data`` is not a named set.
    """
    from alexnet.data.sources.sets import hub, named

    text = os.fspath(data)
    if not text:
        raise DataError("the name of the data is empty; give a folder of class folders, or the name of a set")
    name = set_name(data, certain=recorded or data_dir is not None)
    if name is not None:
        return named.open_named(name, None if data_dir is None else expanded(data_dir))
    if data_dir is not None:
        what = repr(text) if isinstance(data, str) else f"the path {text!r}"
        raise SettingsError(f"data_dir is only for named sets, and {what} is not a named set; leave data_dir out")
    if isinstance(data, str) and data.startswith(hub.PREFIX):
        return hub.open_hub(data, recorded=recorded)
    path = expanded(data)
    if not path.exists():
        raise DataError(_nothing_there(data))
    path = path.resolve()
    lower = path.name.lower()
    if path.is_dir():
        return open_container(Folder(path))
    if lower.endswith(ARCHIVE_ENDINGS):
        return open_container(open_archive(path))
    if is_table(lower):
        return split_by_folders(open_manifest(Folder(path.parent), path.name, str(path)))
    raise DataError(
        f"{text!r} has an unknown format; give a folder of class folders, a manifest "
        f"({', '.join(TABLE_ENDINGS)}) or an archive ({', '.join(ARCHIVE_ENDINGS[:3])})"
    )


def set_name(data: str | os.PathLike[str], *, certain: bool = False) -> str | None:
    """Return the named set that ``data`` means; None if it means something else, as a ``Path`` always does.

    Args:
        data: what ``open_source`` takes.
        certain: whether the name of a set means the set, also if a file or folder here has this name.

    Raises:
        DataError: the name is both a set and a file or folder here.
    """
    from alexnet.data.sources.sets.named import NAMES

    if not isinstance(data, str):
        return None
    name = data.removeprefix(SET)
    if name not in NAMES:
        return None
    if name == data and not certain and is_taken(data):
        kind = "folder" if Path(data).is_dir() else "file"
        raise DataError(f"{data!r} is a set, and a {kind} here; write ./{data} for the {kind}, {SET}{data} for the set")
    return name


def as_recorded(data: str) -> str:
    """Return the data of a run as ``open_source`` understands it anywhere: named sets get their prefix."""
    name = set_name(data, certain=True)
    return data if name is None else f"{SET}{name}"


def as_argument(source: Source) -> str:
    """Return a source as arguments for a command line in any folder, quoted for the shell."""
    name = shlex.quote(as_recorded(source.name))
    return name if source.data_dir is None else f"{name} --data-dir {shlex.quote(source.data_dir)}"


def _nothing_there(data: str | os.PathLike[str]) -> str:
    from alexnet.data.sources.sets.named import NAMES

    text = os.fspath(data)
    kind = "file" if Path(text).suffix else "folder"
    if text in NAMES:
        return f"there is no {kind} {text!r}, and a Path is never the name of a set; for the set, give the str {text!r}"
    # Only typing mistakes: a missing folder "plants" does not mean the set pets.
    close = difflib.get_close_matches(text.removeprefix(SET), NAMES, n=1, cutoff=0.75)
    advice = f"did you mean the set {close[0]!r}?" if close else "give a folder of class folders, or the name of a set"
    return f"there is no {kind} {text!r}; {advice}"
