"""Tables of labels in a folder or an archive that has no class folders: which of them to read."""

from collections.abc import Mapping
from dataclasses import replace

from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.sources.container import Container
from alexnet.data.sources.folders.archive import to_give
from alexnet.data.sources.folders.shelves import Shelves
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.tables.manifest import MANIFEST_NAMES, open_manifest, open_tables, some_labels
from alexnet.data.sources.tables.places import Files
from alexnet.data.sources.tables.table import is_table
from alexnet.data.sources.vocabulary import split_of
from alexnet.errors import DataError, ImageError, listed, shown

# Of the tables beside class folders, so many are looked at, and so many rows of each, which tell parts of a download
# from classes: all of a million rows would take minutes, on each start.
MOST_TABLES = 4
MOST_ROWS = 2_000


def open_tables_of(container: Container, tree: Tree, found: Shelves) -> Source | None:
    """Return the images that tables beside them list, labelled by these; None where there is no table.

    Args:
        container: of images and tables.
        tree: what it holds.
        found: how that was understood, without class folders.

    Raises:
        DataError: there are several tables and no telling which, or one is at fault.
    """
    chosen = _choose(container.name, found)
    if chosen is None:
        return None
    if isinstance(chosen, str):
        source, read = split_by_folders(open_manifest(container, chosen, container.name)), [chosen]
    else:
        source, read = _of_each_split(container, chosen), list(chosen.values())
    listed_paths = {image.path for image in source.images}
    unlisted = [path for folder in tree.walk() for path in folder.images if path not in listed_paths]
    warnings = [
        f"labels are those of {'the table' if len(read) == 1 else 'the tables'} {listed(read)}",
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
        # Competitions keep the labels of test to themselves, in a table all the same.
        train = to_give(container.name, tables["train"])
        raise DataError(f"{error}; to do without the other tables, give {train}") from error


def said_otherwise(container: Container, top: Tree, source: Source) -> list[str]:
    """Return a line for each table beside class folders that says other labels than they do.

    Folders may only be parts of a download, called after nothing, and the labels are in the table.
    """
    labels = {image.path: image.label for image in source.images}
    files = Files(container)
    warnings = []
    for table in _tables_in(top)[:MOST_TABLES]:
        try:
            said, n_rows = some_labels(files, table, MOST_ROWS)
        except (DataError, ImageError):  # it is about something else
            continue
        both = [(label, labels[path]) for path, label in said.items() if path in labels]
        pairs = set(both)
        agree = len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
        if not agree and 2 * len(both) * n_rows > len(labels) * len(said):
            warnings.append(
                f"the table {shown(table)} says other labels than the folders, which count here; to go by the table, "
                f"give {to_give(container.name, table)}"
            )
    return warnings


def split_by_folders(source: Source) -> Source:
    """Return images that a table gives no split with that of the folders they lie in, where all lie in such folders.

    A table that names train/a.jpg and test/b.jpg, and has no column for the split, has been split all the same.
    """
    splits = {image.path: _split_of_path(image.path) for image in source.images if image.split is None}
    found = set(splits.values())
    if len(splits) < len(source.images) or None in found or "train" not in found or len(found) < 2:
        return source
    images = tuple(LabelledImage(each.path, each.label, splits[each.path]) for each in source.images)
    named = " and ".join(split for split in SPLITS if split in found)
    warning = f"the table has no column split; its images lie in folders that are called so, and are {named}"
    return replace(source, images=images, warnings=(*source.warnings, warning))


def _split_of_path(path: str) -> str | None:
    return next((split for folder in path.split("/")[:-1] if (split := split_of(folder))), None)


def _choose(where: str, found: Shelves) -> str | dict[str, str] | None:
    """Return the table to read, or one for each split."""
    at_top = _tables_in(found.top)
    manifest = next((path for path in at_top if _name(path) in MANIFEST_NAMES), None)
    if manifest:
        return manifest
    if found.flat:
        inside = {split: _tables_in(folder) for split, folder in found.flat.items()}
        if all(len(tables) == 1 for tables in inside.values()):
            return {split: tables[0] for split, tables in inside.items()}
    beside = [path for shelf in found.shelves for path in _tables_in(shelf.tree)]
    tables = at_top or beside
    by_split = {split: path for path in tables if (split := split_of(_stem(path)))}
    if len(tables) > 1 and len(by_split) == len(tables) and "train" in by_split:
        return by_split
    if len(tables) > 1:
        some = ", ".join(to_give(where, path) for path in tables[:3])
        raise DataError(
            f"{where!r} has no class folders, but {len(tables)} tables; give the one with the labels: {some}"
        )
    return tables[0] if tables else None


def _tables_in(folder: Tree) -> list[str]:
    """Return the tables in a folder; those in the form of answers to a competition have no labels."""
    return [path for path in folder.others if is_table(path) and "submission" not in _stem(path).lower()]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _name(path).rpartition(".")[0]
