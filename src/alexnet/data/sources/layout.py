"""From the names of files to labelled pictures: class folders, folders of splits, or a manifest beside the pictures.

It works on names alone, so a folder and an archive of it are understood alike.
"""

from collections import Counter
from dataclasses import dataclass

from alexnet.data.image import EXTENSIONS
from alexnet.data.source import SPLIT_NAMES, Picture, Source, describe, natural_key
from alexnet.data.sources.container import Container, Names
from alexnet.data.sources.manifest import MANIFEST_NAMES, open_manifest
from alexnet.errors import DataError, listed


def open_container(container: Container) -> Source:
    """Find the labelled pictures in a folder or an archive.

    Raises:
        DataError: no pictures, or no class folders.
    """
    names = container.names()
    top = _top(names)
    shelves, manifest = _shelves(names, top), _manifest(names, top)
    if manifest and len({shelf.label for shelf in shelves}) < 2:
        return open_manifest(container, manifest, container.name)
    return _from_shelves(container, names, shelves, top)


def is_picture_name(path: str) -> bool:
    """Return whether a file is a picture that can be read, going by its ending."""
    return _ending(path) in EXTENSIONS


@dataclass(frozen=True)
class _Shelf:
    """A class folder: everything below it has one label."""

    path: str
    label: str
    split: str | None


def _top(names: Names) -> str:
    """Return the folder that holds everything, where there is just one: archives are made so."""
    top = ""
    while True:
        inside = _folders_in(names, top)
        alone = len(inside) == 1 and not any(_parent(file) == top and is_picture_name(file) for file in names.files)
        # A folder of splits may well have only one of them.
        if not alone or inside[0].lower() in SPLIT_NAMES or _manifest(names, top):
            return top
        below = _join(top, inside[0])
        if not _folders_in(names, below) and not _manifest(names, below):
            return top
        top = below


def _shelves(names: Names, top: str) -> list[_Shelf]:
    folders = _folders_in(names, top)
    splits = _split_folders(names, top)
    if splits:
        return [
            _Shelf(_join(top, name, label), label, split)
            for name, split in splits.items()
            for label in _folders_in(names, _join(top, name))
        ]
    return [_Shelf(_join(top, label), label, None) for label in folders]


def _split_folders(names: Names, top: str) -> dict[str, str]:
    """Return the folders that are splits. A class may be called "train" or "test", but holds no folders itself."""
    folders = _folders_in(names, top)
    splits = {
        name: SPLIT_NAMES[name.lower()]
        for name in folders
        if name.lower() in SPLIT_NAMES and _folders_in(names, _join(top, name))
    }
    return splits if set(splits) == set(folders) or "train" in splits.values() else {}


def _manifest(names: Names, top: str) -> str | None:
    wanted = {_join(top, name) for name in MANIFEST_NAMES}
    return next((path for path in names.files if path in wanted), None)


def _from_shelves(container: Container, names: Names, shelves: list[_Shelf], top: str) -> Source:
    by_path = {shelf.path: shelf for shelf in shelves}
    depth = shelves[0].path.count("/") + 1 if shelves else 0
    pictures, others = [], []
    for path in names.files:
        shelf = by_path.get("/".join(path.split("/", depth)[:depth])) if depth else None
        if shelf is None:
            continue
        if is_picture_name(path):
            pictures.append(Picture(path, shelf.label, shelf.split))
        else:
            others.append(path)
    if not pictures:
        raise DataError(_no_pictures(container.name, names, top))
    pictures.sort(key=lambda picture: natural_key(picture.path))
    others.sort(key=natural_key)
    classes = tuple(sorted({shelf.label for shelf in shelves}, key=natural_key))
    remarks = [*_ignored_folders(names, top), *_loose_pictures(names, depth), *describe(pictures, classes)]
    if others:
        counts = Counter(_ending(path) or "without an ending" for path in others)
        remarks.append(f"ignored {_counted(counts)}: not pictures that can be read here")
    return Source(container.name, tuple(pictures), classes, container, others=tuple(others), remarks=tuple(remarks))


def _ignored_folders(names: Names, top: str) -> list[str]:
    splits = _split_folders(names, top)
    ignored = [name for name in _folders_in(names, top) if splits and name not in splits]
    return [f"ignored {listed(ignored)} beside {listed(splits)}"] if ignored else []


def _loose_pictures(names: Names, depth: int) -> list[str]:
    loose = [path for path in names.files if path.count("/") < depth and is_picture_name(path)]
    return [f"ignored {len(loose)} pictures that lie in no class folder, such as {loose[0]!r}"] if loose else []


def _no_pictures(where: str, names: Names, top: str) -> str:
    loose = [path for path in names.files if _parent(path) == top]
    n_loose = sum(is_picture_name(path) for path in loose)
    if n_loose:
        return (
            f"{where!r} holds {n_loose} pictures but no class folders; put the pictures of each class into a folder "
            "named after it, or list them in a manifest.csv with the columns path and label"
        )
    if names.files:
        counts = Counter(_ending(path) or "without an ending" for path in names.files)
        return f"no pictures in {where!r}; found {_counted(counts)}; convert them to JPEG or PNG"
    return f"no pictures in {where!r}; it needs one folder of pictures for each class"


def _folders_in(names: Names, folder: str) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    inside = {path[len(prefix) :] for path in names.folders if path.startswith(prefix)}
    return sorted((name for name in inside if name and "/" not in name), key=natural_key)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {suffix}" for suffix, n in counts.most_common(4))
