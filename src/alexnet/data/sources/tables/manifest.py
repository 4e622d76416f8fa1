"""Manifests: a table of images and labels, or one for each split, read as a source."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from alexnet.data.source import LabelledImage, Source, describe
from alexnet.data.sources.container import Container
from alexnet.data.sources.tables.columns import find_columns
from alexnet.data.sources.tables.places import Files, locate
from alexnet.data.sources.tables.table import TABLE_ENDINGS, Table, read_table
from alexnet.errors import DataError, listed, shown
from alexnet.files.paths import natural_key

# A manifest with one of these names is read from a folder or an archive without class folders.
MANIFEST_NAMES = tuple(f"manifest{ending}" for ending in TABLE_ENDINGS)


def open_manifest(container: Container, manifest: str, name: str) -> Source:
    """Read the images that a manifest in a folder or an archive lists, as a source named ``name``.

    One column holds the path of each image, relative to the manifest, and one its class. There may be a column of
    splits; other columns are ignored. ``columns`` knows their names, and ``places`` finds images that are not where the
    manifest says.

    Raises:
        DataError: a column is missing, or a row has an error; the message names it.
    """
    files = Files(container)
    return _source(container, name, [_listed(files, manifest, _read(files, manifest), None)])


def open_tables(container: Container, tables: Mapping[str, str], name: str) -> Source:
    """Read the images of one table for each split, as a source named ``name``.

    Args:
        container: the folder or the archive.
        tables: the path of each split's table in it: ``{"train": "train/_classes.csv"}``; paths in a table are relative
            to the table.
        name: the name of the source.

    Raises:
        DataError: a table has an error, gives an image another split, or lists an image of another table.
    """
    files = Files(container)
    return _source(container, name, [_listed(files, path, _read(files, path), split) for split, path in tables.items()])


def sample_labels(files: Files, manifest: str, most: int) -> tuple[dict[str, str], int]:
    """Return the labels that a manifest gives to some images, by path, and its number of rows.

    Args:
        files: the files of its container.
        manifest: its path in the container.
        most: how many rows are read, evenly spread over all rows.

    Raises:
        DataError: a column is missing, or a row has an error.
    """
    table = _read(files, manifest)
    step = -(-len(table.rows) // most) or 1
    some = replace(table, rows=table.rows[::step], lines=table.lines[::step])
    images = _listed(files, manifest, some, None).images
    return {path: image.label for path, image in images.items()}, len(table.rows)


def _read(files: Files, manifest: str) -> Table:
    where = str(PurePosixPath(files.container.name, manifest))
    return read_table(files.container.content(manifest), manifest, where)


@dataclass(frozen=True)
class _Listed:
    """The images of one table.

    Attributes:
        where: the path of the table.
        name: its name in warnings.
        images: the images, by path.
        one_hot: the classes that have a column each.
        warnings: how the table was read, a line each.
    """

    where: str
    name: str
    images: dict[str, LabelledImage]
    one_hot: tuple[str, ...]
    warnings: tuple[str, ...]


def _listed(files: Files, manifest: str, table: Table, split: str | None) -> _Listed:
    where, folder = table.where, manifest.rpartition("/")[0]
    listing = find_columns(table, files, folder)
    table = listing.table
    if not table.rows:
        raise DataError(f"{where!r} lists no images; it needs a row for each, with the columns path and label")
    _refuse_other_split(table, listing.splits, split)
    paths, warnings = locate(table, listing.paths, folder, files, split)
    images: dict[str, LabelledImage] = {}
    first: dict[str, int] = {}
    for number, (path, label, own_split) in enumerate(zip(paths, listing.labels, listing.splits, strict=True)):
        if path in images:
            raise DataError(
                f"{where!r} {table.row(number)} lists {shown(listing.paths[number])} again, after "
                f"{table.row(first[path])}; delete one of them"
            )
        first[path] = number
        images[path] = LabelledImage(path, label, split or own_split)
    return _Listed(where, table.name, images, listing.one_hot, (*listing.warnings, *warnings))


def _refuse_other_split(table: Table, splits: list[str | None], split: str | None) -> None:
    for number, other in enumerate(splits):
        if split and other and other != split:
            raise DataError(
                f"{table.where!r} is the table of {split}, but {table.row(number)} has the split {other}; correct it"
            )


def _source(container: Container, name: str, tables: list[_Listed]) -> Source:
    images: dict[str, LabelledImage] = {}
    for table in tables:
        repeated = next((path for path in table.images if path in images), None)
        if repeated is not None:
            split = images[repeated].split
            raise DataError(
                f"{table.where!r} lists {shown(repeated)}, which is also in the table of {split}; delete one row"
            )
        images |= table.images
    one_hot = _one_hot(tables)
    in_order = tuple(sorted(images.values(), key=lambda image: natural_key(image.path)))
    classes = tuple(sorted({image.label for image in in_order}.union(one_hot), key=natural_key))
    warnings = (*_combined_warnings(tables), *describe(in_order, classes))
    return Source(name, in_order, classes, container, warnings=warnings)


def _combined_warnings(tables: Iterable[_Listed]) -> Iterator[str]:
    """Yield the warnings of tables; a warning that several tables share comes once."""
    names = defaultdict(list)
    for table in tables:
        for warning in table.warnings:
            names[warning.removeprefix(f"{table.name}: ")].append(table.name)
    for warning, tables_with_it in names.items():
        yield f"{', '.join(tables_with_it)}: {warning}"


def _one_hot(tables: Iterable[_Listed]) -> tuple[str, ...]:
    """Return the classes that have a column each; all tables must have the same ones."""
    with_one_hot = [table for table in tables if table.one_hot]
    for table in with_one_hot[1:]:
        first = with_one_hot[0]
        if odd := sorted(set(first.one_hot) ^ set(table.one_hot), key=natural_key):
            raise DataError(
                f"{first.where!r} and {table.where!r} have different class columns: {listed(odd)}; rename them"
            )
    return with_one_hot[0].one_hot if with_one_hot else ()
