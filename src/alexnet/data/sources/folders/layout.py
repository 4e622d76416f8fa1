"""Finds the labelled images in a folder or an archive: class folders, split folders, or tables beside the images.

It reads only names, and the first bytes of files whose names do not say what they are. So a folder and an archive of it
give the same result.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from alexnet.data.parallel import in_threads
from alexnet.data.source import Content, LabelledImage, Source, describe
from alexnet.data.sources.container import Container
from alexnet.data.sources.folders.archive import ARCHIVE_ENDINGS
from alexnet.data.sources.folders.class_folders import ClassFolder, ClassFolders, find_class_folders, find_top
from alexnet.data.sources.folders.labels import conflicting_tables, open_label_tables
from alexnet.data.sources.folders.tree import Tree, build_tree
from alexnet.data.sources.tables.manifest import MANIFEST_NAMES
from alexnet.data.sources.tables.table import TABLE_ENDINGS
from alexnet.data.sources.vocabulary import image_of_mask, is_filler, is_mask_or_thumbnail_folder, split_of
from alexnet.errors import DataError, ImageError, listed, shown
from alexnet.files.paths import natural_key
from alexnet.images.decoding import ends_like_image, is_image
from alexnet.images.signatures import N_BEGINNING

# There is often one annotation for each image. Opening 200,000 of them takes 10 s at each start.
_NOTES = (".xml", ".txt", ".json", *TABLE_ENDINGS)
# A longer file is not a link that was copied as text.
MAX_LINK_BYTES = 300


def open_container(container: Container) -> Source:
    """Find the labelled images in a folder or an archive.

    Raises:
        DataError: no images, no class folders, or ambiguous folders.
    """
    names = container.names()
    tree, annotations = build_tree(names, _find_images(container, names.files))
    top = find_top(tree, stop={_parent(path) for path in names.files if _name(path) in MANIFEST_NAMES})
    found = find_class_folders(top, container.name)
    warnings = [*names.warnings, *_excluded_warnings(annotations, tree, top)]
    labels = {class_folder.label for class_folder in found.class_folders if class_folder.tree.n_images}
    if len(labels) < 2:
        from_tables = open_label_tables(container, tree, found)
        if from_tables:
            return from_tables.with_warnings(warnings)
    if found.flat or not labels or (len(labels) == 1 and _has_only_filler_names(found)):
        raise DataError(_no_class_folders(container, tree, top, found, names.warnings))
    source = _from_class_folders(container, found, warnings)
    return source.with_warnings(conflicting_tables(container, top, source))


def _find_images(container: Container, files: Iterable[str]) -> set[str]:
    """Return the files that are images: by their endings or, except for notes, by their first bytes."""
    images, others = set(), []
    for path in files:
        if ends_like_image(path):
            images.add(path)
        elif not path.lower().endswith(_NOTES):
            others.append(path)
    return images.union(
        path for path, begins in in_threads(container, others, _begins_like_image, N_BEGINNING) if begins
    )


def _begins_like_image(path: str, read: Callable[[], Content]) -> bool:
    try:
        content = read()
    except ImageError:
        content = b""
    return is_image(path, content if isinstance(content, bytes) else b"")


def _from_class_folders(container: Container, found: ClassFolders, warnings: list[str]) -> Source:
    images: list[LabelledImage] = []
    others: list[str] = []
    excluded: list[Tree] = []
    masks: list[str] = []
    for class_folder in found.class_folders:
        for folder in _walk_class(class_folder, excluded):
            masks_here = _find_masks(folder)
            masks += masks_here
            images += [
                LabelledImage(path, class_folder.label, class_folder.split)
                for path in folder.images
                if path not in masks_here
            ]
            others += folder.others
    images.sort(key=lambda image: natural_key(image.path))
    others.sort(key=natural_key)
    classes = tuple(sorted({class_folder.label for class_folder in found.class_folders}, key=natural_key))
    warnings = [*warnings, *found.warnings, *_loose_images(found), *_links_as_text(container, found.around)]
    if excluded:
        n = sum(folder.n_files for folder in excluded)
        warnings.append(
            f"left out {n} files in {listed(folder.path for folder in excluded)}: masks, notes or thumbnails"
        )
    if masks:
        warnings.append(f"left out {len(masks)} files that are named like masks of others, such as {shown(min(masks))}")
    warnings += describe(images, classes)
    if others:
        warnings.append(f"ignored {_counted(others)}: not images that can be read here")
    return Source(container.name, tuple(images), classes, container, others=tuple(others), warnings=tuple(warnings))


def _walk_class(class_folder: ClassFolder, excluded: list[Tree]) -> Iterable[Tree]:
    """Yield a class folder and the folders below; mask and thumbnail folders are added to ``excluded`` instead."""
    left = [class_folder.tree]
    while left:
        folder = left.pop()
        yield folder
        for each in folder.folders.values():
            (excluded if each.n_files and is_mask_or_thumbnail_folder(each.name) else left).append(each)


def _find_masks(folder: Tree) -> set[str]:
    """Return the images in a folder that are named like masks of others there: "a_mask.png" beside "a.png"."""
    stems = {_stem(path) for path in folder.images}
    return {path for path in folder.images if image_of_mask(_stem(path)) in stems}


def _excluded_warnings(annotations: list[Tree], tree: Tree, top: Tree) -> list[str]:
    warnings = []
    if annotations:
        n = sum(folder.n_files for folder in annotations)
        paths = listed(folder.path for folder in annotations)
        warnings.append(f"left out {n} files in {paths}: the name says masks or notes, beside a folder of images")
    for name in top.path.split("/") if top.path else ():
        warnings += tree.ignored_warnings()
        tree = tree.folders[name]
    return warnings


def _loose_images(found: ClassFolders) -> list[str]:
    loose = [path for folder in found.around for path in folder.images]
    return [f"ignored {len(loose)} images outside class folders, such as {shown(loose[0])}"] if loose else []


def _links_as_text(container: Container, around: Iterable[Tree]) -> list[str]:
    """Return a warning about files beside class folders that are links to folders, copied as text.

    Git on Windows writes links as such files, and so do some programs that copy folders.
    """
    paths = [path for folder in around for path in folder.others if not _ending(path)]
    found = []
    for path, read in container.each(paths, MAX_LINK_BYTES):
        with contextlib.suppress(ImageError, UnicodeDecodeError):
            content = read()
            text = content.decode() if isinstance(content, bytes) else ""
            if text and len(text) < MAX_LINK_BYTES and not re.search(r"[\s\0]", text):
                found.append(f"{shown(path)} (to {shown(text)})")
    if not found:
        return []
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [f"links were copied as text files: {', '.join(found[:3])}{more}; replace them with folders or links"]


def _has_only_filler_names(found: ClassFolders) -> bool:
    return all(
        is_filler(class_folder.label) or split_of(class_folder.label)
        for class_folder in found.class_folders
        if class_folder.tree.n_images
    )


def _no_class_folders(
    container: Container, tree: Tree, top: Tree, found: ClassFolders, warnings: tuple[str, ...]
) -> str:
    """Return the error for a container without class folders: what it holds instead, and what to give."""
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
            return f"{here}give the folder above, {above!r}, if this is one of its classes"
        return (
            f"{here}put the images of each class into a folder named after it, or list them in a manifest.csv with "
            "the columns path and label"
        )
    files = [path for folder in tree.walk() for path in folder.others]
    archives = sorted((_name(path) for path in files if path.lower().endswith(ARCHIVE_ENDINGS)), key=natural_key)
    if archives:
        return (
            f"{where!r} holds archives ({listed(archives)}) but no images; unpack each into a folder named after its "
            "class, or give one of them if it holds class folders"
        )
    first_warning = "".join(f"; {warning}" for warning in [*warnings, *_links_as_text(container, tree.walk())][:1])
    if files and not first_warning:
        return f"no images in {where!r}; found {_counted(files)}; convert them to JPEG or PNG"
    return f"no images in {where!r}; it needs one folder of images for each class{first_warning}"


def _folder_above(where: str) -> str | None:
    """Return the folder above if it also holds other folders of images."""
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
