"""From the names of files to labelled images: class folders, folders of splits, or tables beside the images.

It works on names, and on the beginnings of files whose names do not say what they are: so a folder and an archive of it
are understood alike.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from alexnet.data.parallel import in_threads
from alexnet.data.source import Content, LabelledImage, Source, describe, natural_key
from alexnet.data.sources.container import Container
from alexnet.data.sources.folders.archive import ARCHIVE_ENDINGS
from alexnet.data.sources.folders.labels import open_tables_of, said_otherwise
from alexnet.data.sources.folders.shelves import Shelf, Shelves, find_shelves, find_top
from alexnet.data.sources.folders.tree import Tree, grow
from alexnet.data.sources.tables.manifest import MANIFEST_NAMES
from alexnet.data.sources.tables.table import TABLE_ENDINGS
from alexnet.data.sources.vocabulary import image_of_mask, is_filler, is_no_part_of_class, split_of
from alexnet.errors import DataError, ImageError, listed, shown
from alexnet.images.decoding import ends_like_image, is_image
from alexnet.images.signatures import N_BEGINNING

# Of annotations there is often one for each image: to open them all takes 10 s for 200,000, on each start.
_NOTES = (".xml", ".txt", ".json", *TABLE_ENDINGS)
# What is longer is no link that was written as text.
MOST_IN_LINK = 300


def open_container(container: Container) -> Source:
    """Find the labelled images in a folder or an archive.

    Raises:
        DataError: no images, no class folders, or folders that can be understood in more than one way.
    """
    names = container.names()
    tree, annotations = grow(names, _images_among(container, names.files))
    top = find_top(tree, stop={_parent(path) for path in names.files if _name(path) in MANIFEST_NAMES})
    found = find_shelves(top, container.name)
    warnings = [*names.warnings, *_left_out(annotations, tree, top)]
    labels = {shelf.label for shelf in found.shelves if shelf.tree.n_images}
    if len(labels) < 2:
        from_tables = open_tables_of(container, tree, found)
        if from_tables:
            return from_tables.with_warnings(warnings)
    if found.flat or not labels or (len(labels) == 1 and _says_nothing(found)):
        raise DataError(_no_class_folders(container, tree, top, found, names.warnings))
    source = _from_shelves(container, found, warnings)
    return source.with_warnings(said_otherwise(container, top, source))


def _images_among(container: Container, files: Iterable[str]) -> set[str]:
    """Return which files are images: those that end like one, and those that begin like one, but for notes."""
    images, others = set(), []
    for path in files:
        if ends_like_image(path):
            images.add(path)
        elif not path.lower().endswith(_NOTES):
            others.append(path)
    return images.union(path for path, begins in in_threads(container, others, _begins_like_one, N_BEGINNING) if begins)


def _begins_like_one(path: str, read: Callable[[], Content]) -> bool:
    try:
        content = read()
    except ImageError:
        content = b""
    return is_image(path, content if isinstance(content, bytes) else b"")


def _from_shelves(container: Container, found: Shelves, warnings: list[str]) -> Source:
    images: list[LabelledImage] = []
    others: list[str] = []
    apart: list[Tree] = []
    masks: list[str] = []
    for shelf in found.shelves:
        for folder in _of_class(shelf, apart):
            drawn = _masks(folder)
            masks += drawn
            images += [LabelledImage(path, shelf.label, shelf.split) for path in folder.images if path not in drawn]
            others += folder.others
    images.sort(key=lambda image: natural_key(image.path))
    others.sort(key=natural_key)
    classes = tuple(sorted({shelf.label for shelf in found.shelves}, key=natural_key))
    warnings = [*warnings, *found.warnings, *_loose_images(found), *_links_as_text(container, found.around)]
    if apart:
        n = sum(folder.n_files for folder in apart)
        warnings.append(f"left out {n} files in {listed(folder.path for folder in apart)}: masks, notes or thumbnails")
    if masks:
        warnings.append(f"left out {len(masks)} files that are called as masks of others, such as {shown(min(masks))}")
    warnings += describe(images, classes)
    if others:
        warnings.append(f"ignored {_counted(others)}: not images that can be read here")
    return Source(container.name, tuple(images), classes, container, others=tuple(others), warnings=tuple(warnings))


def _of_class(shelf: Shelf, apart: list[Tree]) -> Iterable[Tree]:
    """Yield a class folder and those below; folders of masks and the like are added to ``apart`` instead."""
    left = [shelf.tree]
    while left:
        folder = left.pop()
        yield folder
        for each in folder.folders.values():
            (apart if each.n_files and is_no_part_of_class(each.name) else left).append(each)


def _masks(folder: Tree) -> set[str]:
    """Return the images in a folder that are called as masks of others there, as "a_mask.png" beside "a.png"."""
    stems = {_stem(path) for path in folder.images}
    return {path for path in folder.images if image_of_mask(_stem(path)) in stems}


def _left_out(annotations: list[Tree], tree: Tree, top: Tree) -> list[str]:
    warnings = []
    if annotations:
        n = sum(folder.n_files for folder in annotations)
        paths = listed(folder.path for folder in annotations)
        warnings.append(f"left out {n} files in {paths}: called as masks or notes beside a folder of images")
    for name in top.path.split("/") if top.path else ():
        warnings += tree.said_of_useless()
        tree = tree.folders[name]
    return warnings


def _loose_images(found: Shelves) -> list[str]:
    loose = [path for folder in found.around for path in folder.images]
    return [f"ignored {len(loose)} images that lie in no class folder, such as {shown(loose[0])}"] if loose else []


def _links_as_text(container: Container, around: Iterable[Tree]) -> list[str]:
    """Return a line on files where class folders lie that are links to folders, copied as text.

    Git writes links so on Windows, as do some programs that copy folders.
    """
    paths = [path for folder in around for path in folder.others if not _ending(path)]
    found = []
    for path, read in container.each(paths, MOST_IN_LINK):
        with contextlib.suppress(ImageError, UnicodeDecodeError):
            content = read()
            text = content.decode() if isinstance(content, bytes) else ""
            if text and len(text) < MOST_IN_LINK and not re.search(r"[\s\0]", text):
                found.append(f"{shown(path)} (to {shown(text)})")
    if not found:
        return []
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [f"links that were copied as text lead nowhere: {', '.join(found[:3])}{more}; put folders or links there"]


def _says_nothing(found: Shelves) -> bool:
    return all(is_filler(shelf.label) or split_of(shelf.label) for shelf in found.shelves if shelf.tree.n_images)


def _no_class_folders(container: Container, tree: Tree, top: Tree, found: Shelves, warnings: tuple[str, ...]) -> str:
    """Return what is there instead of class folders, and what to give."""
    where = container.name
    if found.flat:
        n = sum(folder.n_images for folder in found.flat.values())
        return (
            f"{where!r} has {n} images in {listed(folder.path for folder in found.flat.values())} but no class "
            "folders; put those of each class into a folder named after it, or give a table with path, label and split"
        )
    if tree.n_images:
        here = f"{where!r} holds {tree.n_images} images but no class folders; "
        above = _folder_above(where) if top.images else None
        if above:
            return f"{here}give the folder above, {above!r}, if this is one class of it"
        return (
            f"{here}put the images of each class into a folder named after it, or list them in a manifest.csv with "
            "the columns path and label"
        )
    files = [path for folder in tree.walk() for path in folder.others]
    archives = sorted((_name(path) for path in files if path.lower().endswith(ARCHIVE_ENDINGS)), key=natural_key)
    if archives:
        return (
            f"{where!r} holds archives ({listed(archives)}) and no images; unpack each into a folder named after its "
            "class, or give one of them, if it holds class folders"
        )
    said = "".join(f"; {warning}" for warning in [*warnings, *_links_as_text(container, tree.walk())][:1])
    if files and not said:
        return f"no images in {where!r}; found {_counted(files)}; convert them to JPEG or PNG"
    return f"no images in {where!r}; it needs one folder of images for each class{said}"


def _folder_above(where: str) -> str | None:
    """Return the folder above, if it holds other folders of images too."""
    here = Path(where)
    if not here.is_dir():  # an archive
        return None
    try:
        beside = (each for each in here.parent.iterdir() if each != here and each.is_dir())
        has_more = any(ends_like_image(file.name) for folder in beside for file in folder.iterdir())
    except OSError:
        return None
    return str(here.parent) if has_more else None


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _name(path).rpartition(".")[0]


def _ending(path: str) -> str:
    stem, dot, ending = _name(path).rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def _counted(paths: Iterable[str]) -> str:
    counts = Counter(_ending(path) or "without an ending" for path in paths)
    return ", ".join(f"{n} {ending}" for ending, n in counts.most_common(4))
