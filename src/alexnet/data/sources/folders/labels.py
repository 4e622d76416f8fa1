"""Tables with labels in a folder or an archive: which of them are read, and whether they agree with class folders."""

from collections.abc import Mapping
from dataclasses import replace

from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.sources.container import Container
from alexnet.data.sources.folders.archive import what_to_give
from alexnet.data.sources.folders.class_folders import ClassFolders
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.tables.manifest import MANIFEST_NAMES, open_manifest, open_tables, sample_labels
from alexnet.data.sources.tables.places import Files
from alexnet.data.sources.tables.table import is_table
from alexnet.data.sources.vocabulary import split_of
from alexnet.errors import DataError, ImageError, listed, shown

# How many tables beside class folders are compared with the folders, and how many rows of each. That is enough to
# notice folders that are parts of a download, not classes; a million rows would take minutes at each start.
MAX_TABLES = 4
MAX_ROWS = 2_000


def open_label_tables(container: Container, tree: Tree, found: ClassFolders) -> Source | None:
    """Return the images that tables in a container list, with their labels; None if there is no table.

    Args:
        container: the images and the tables.
        tree: its folders.
        found: what ``find_class_folders`` found: fewer than two classes.

    Raises:
        DataError: it is not clear which of several tables to read, or one has an error.
    """
    chosen = _choose_tables(container.name, found)
    if chosen is None:
        return None
    if isinstance(chosen, str):
        source, read = split_by_folders(open_manifest(container, chosen, container.name)), [chosen]
    else:
        source, read = _of_each_split(container, chosen), list(chosen.values())
    listed_paths = {image.path for image in source.images}
    unlisted = [path for folder in tree.walk() for path in folder.images if path not in listed_paths]
    warnings = [
        f"labels are from the {'table' if len(read) == 1 else 'tables'} {listed(read)}",
        *source.warnings,
    ]
    if unlisted:
        warnings.append(f"left out {len(unlisted)} images that are in no table, such as {shown(min(unlisted))}")
    return replace(source, warnings=tuple(warnings))


def _of_each_split(container: Container, tables: Mapping[str, str]) -> Source:
    try:
        return open_tables(container, tables, container.name)
    except DataError as error:
        if len({path.rpartition("/")[0] for path in tables.values()}) > 1:
            raise
        # Competitions publish a table for test, but without its labels.
        train = what_to_give(container.name, tables["train"])
        raise DataError(f"{error}; to ignore the other tables, give {train}") from error


def conflicting_tables(container: Container, top: Tree, source: Source) -> list[str]:
    """Return a warning for each table beside class folders that gives other labels than they do.

    Such folders may only be parts of a download, and the labels are in the table.
    """
    labels = {image.path: image.label for image in source.images}
    files = Files(container)
    warnings = []
    for table in _tables_in(top)[:MAX_TABLES]:
        try:
            in_table, n_rows = sample_labels(files, table, MAX_ROWS)
        except (DataError, ImageError):  # the table is not about labels
            continue
        both = [(label, labels[path]) for path, label in in_table.items() if path in labels]
        pairs = set(both)
        agree = len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
        if not agree and 2 * len(both) * n_rows > len(labels) * len(in_table):
            warnings.append(
                f"the table {shown(table)} has other labels than the folders; the folders' labels are used; to use the "
                f"table's, give {what_to_give(container.name, table)}"
            )
    return warnings


def split_by_folders(source: Source) -> Source:
    """Take the splits of a table without a split column from the folders in its paths, if all images are in them.

    A table that lists train/a.jpg and test/b.jpg is already split.
    """
    splits = {image.path: _split_of_path(image.path) for image in source.images if image.split is None}
    found = set(splits.values())
    if len(splits) < len(source.images) or None in found or "train" not in found or len(found) < 2:
        return source
    images = tuple(LabelledImage(each.path, each.label, splits[each.path]) for each in source.images)
    named = " and ".join(split for split in SPLITS if split in found)
    warning = f"the table has no column split; the splits {named} are taken from the folders in its paths"
    return replace(source, images=images, warnings=(*source.warnings, warning))


def _split_of_path(path: str) -> str | None:
    return next((split for folder in path.split("/")[:-1] if (split := split_of(folder))), None)


def _choose_tables(where: str, found: ClassFolders) -> str | dict[str, str] | None:
    """Return the table to read, or one for each split."""
    at_top = _tables_in(found.top)
    manifest = next((path for path in at_top if _name(path) in MANIFEST_NAMES), None)
    if manifest:
        return manifest
    if found.flat:
        inside = {split: _tables_in(folder) for split, folder in found.flat.items()}
        if all(len(tables) == 1 for tables in inside.values()):
            return {split: tables[0] for split, tables in inside.items()}
    beside = [path for class_folder in found.class_folders for path in _tables_in(class_folder.tree)]
    tables = at_top or beside
    by_split = {split: path for path in tables if (split := split_of(_stem(path)))}
    if len(tables) > 1 and len(by_split) == len(tables) and "train" in by_split:
        return by_split
    if len(tables) > 1:
        some = ", ".join(what_to_give(where, path) for path in tables[:3])
        raise DataError(
            f"{where!r} has no class folders, but {len(tables)} tables; give the one with the labels: {some}"
        )
    return tables[0] if tables else None


def _tables_in(folder: Tree) -> list[str]:
    """Return the tables in a folder, without sample submissions of competitions, which hold no real labels."""
    return [path for path in folder.others if is_table(path) and "submission" not in _stem(path).lower()]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _name(path).rpartition(".")[0]
