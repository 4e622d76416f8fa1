"""Where pictures come from: folders, manifests, archives and named sets, each as one ``Source``."""

import contextlib
import os
from pathlib import Path

from alexnet.data.source import Source
from alexnet.data.sources.archive import ARCHIVE_ENDINGS, open_archive
from alexnet.data.sources.folder import Folder
from alexnet.data.sources.layout import open_container
from alexnet.data.sources.manifest import MANIFEST_ENDINGS, open_manifest
from alexnet.errors import DataError, SettingsError, nearest
from alexnet.paths import expanded


def open_source(data: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None) -> Source:
    """Find the labelled pictures that ``data`` names.

    Args:
        data: a folder of class folders; a folder with ``train`` and maybe ``val`` (``valid``, ``validation``) and
            ``test`` folders of those; a manifest (``.csv``, ``.tsv``, ``.jsonl``) with the columns ``path``, ``label``
            and maybe ``split``; a ``.zip`` or ``.tar`` archive of any of these; the name of a set, such as ``digits``
            or ``cifar10``; or ``hf:`` and a Hugging Face data set. A folder of yours called digits is ``./digits``.
        data_dir: the folder that holds named sets, or to which they are downloaded; a folder of the user's data
            directory where not given.

    Raises:
        DataError: nothing there, no pictures, or no class folders.
        SettingsError: ``data_dir`` is given for something else than a named set.
    """
    from alexnet.data.sources import hub, named

    text = os.fspath(data)
    if not text:
        raise DataError("the name of the data is empty; give a folder of class folders, or the name of a set")
    if data_dir is not None and text not in named.NAMES:
        raise SettingsError(f"data_dir is where named sets are, and {text!r} is none; leave it out")
    if text in named.NAMES:
        return named.open_named(text, None if data_dir is None else expanded(data_dir))
    if text.startswith(hub.PREFIX):
        return hub.open_hub(text)
    path = Path(data)
    with contextlib.suppress(RuntimeError):  # nobody is called so, so neither is a folder
        path = path.expanduser()
    if not path.exists():
        kind = "file" if path.suffix else "folder"
        close = nearest(text, named.NAMES)
        advice = close if "did you mean" in close else "; give a folder of class folders, or the name of a set"
        raise DataError(f"there is no {kind} {text!r}{advice}")
    path = path.resolve()
    lower = path.name.lower()
    if path.is_dir():
        return open_container(Folder(path))
    if lower.endswith(ARCHIVE_ENDINGS):
        return open_container(open_archive(path))
    if lower.endswith(MANIFEST_ENDINGS):
        return open_manifest(Folder(path.parent), path.name, str(path))
    raise DataError(
        f"{text!r} is a file of no known kind; give a folder of class folders, a manifest "
        f"({', '.join(MANIFEST_ENDINGS)}) or an archive ({', '.join(ARCHIVE_ENDINGS[:3])})"
    )
