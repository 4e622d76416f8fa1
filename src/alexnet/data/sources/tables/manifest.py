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

# A manifest of one of these names, in a folder or an archive without class folders, is found there.
MANIFEST_NAMES = tuple(f"manifest{ending}" for ending in TABLE_ENDINGS)


def open_manifest(container: Container, manifest: str, name: str) -> Source:
    """Read the images that a manifest in a folder or an archive lists, as a source called ``name``.

    The manifest says in one column where each image lies, relative to the manifest, and in another its class; it may
    have a column of splits, and others, which are ignored. See ``columns`` for what they may be called, and ``places``
    for how images are found that do not lie where the manifest says.

    Raises:
        DataError: a column is missing, or a row is at fault; the message names it.
    """
    files = Files(container)
    return _source(container, name, [_listed(files, manifest, _read(files, manifest), None)])


def open_tables(container: Container, tables: Mapping[str, str], name: str) -> Source:
    """Read the images that a table for each split lists, as a source called ``name``.

    Args:
        container: the folder or the archive.
        tables: the path of each split's table in it: ``{"train": "train/_classes.csv"}``; paths in a table are relative
            to it.
        name: what to call the source.

    Raises:
        DataError: a table is at fault, says of an image that it is of another split, or lists one of another table.
    """
    files = Files(container)
    return _source(container, name, [_listed(files, path, _read(files, path), split) for split, path in tables.items()])


def sample_labels(files: Files, manifest: str, most: int) -> tuple[dict[str, str], int]:
    """Return the labels that a manifest gives to some images, by their paths, and how many rows it has.

    Args:
        files: of its container.
        manifest: its path there.
        most: how many rows are looked at, evenly spread over all.

    Raises:
        DataError: a column is missing, or a row is at fault.
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
        where: the place of the table.
        name: what warnings call it.
        images: by their paths.
        one_hot: the classes that have a column each.
        warnings: how it was understood, a line each.
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
    for number, (path, label, said) in enumerate(zip(paths, listing.labels, listing.splits, strict=True)):
        if path in images:
            raise DataError(
                f"{where!r} {table.row(number)} lists {shown(listing.paths[number])} again, after "
                f"{table.row(first[path])}; delete one of them"
            )
        first[path] = number
        images[path] = LabelledImage(path, label, split or said)
    return _Listed(where, table.name, images, listing.one_hot, (*listing.warnings, *warnings))


def _refuse_other_split(table: Table, said: list[str | None], split: str | None) -> None:
    for number, other in enumerate(said):
        if split and other and other != split:
            raise DataError(f"{table.where!r} is of {split}, but {table.row(number)} has the split {other}; correct it")


def _source(container: Container, name: str, tables: list[_Listed]) -> Source:
    images: dict[str, LabelledImage] = {}
    for table in tables:
        twice = next((path for path in table.images if path in images), None)
        if twice is not None:
            raise DataError(f"{table.where!r} lists {shown(twice)}, which is of {images[twice].split} too; delete one")
        images |= table.images
    one_hot = _one_hot(tables)
    in_order = tuple(sorted(images.values(), key=lambda image: natural_key(image.path)))
    classes = tuple(sorted({image.label for image in in_order}.union(one_hot), key=natural_key))
    warnings = (*_combined_warnings(tables), *describe(in_order, classes))
    return Source(name, in_order, classes, container, warnings=warnings)


def _combined_warnings(tables: Iterable[_Listed]) -> Iterator[str]:
    """Yield how tables were understood; what is the same for several is said once."""
    names = defaultdict(list)
    for table in tables:
        for warning in table.warnings:
            names[warning.removeprefix(f"{table.name}: ")].append(table.name)
    for warning, said_of in names.items():
        yield f"{', '.join(said_of)}: {warning}"


def _one_hot(tables: Iterable[_Listed]) -> tuple[str, ...]:
    """Return the classes that have a column each, of all tables the same."""
    marking = [table for table in tables if table.one_hot]
    for table in marking[1:]:
        first = marking[0]
        if odd := sorted(set(first.one_hot) ^ set(table.one_hot), key=natural_key):
            raise DataError(
                f"{first.where!r} and {table.where!r} differ in columns of classes: {listed(odd)}; rename them"
            )
    return marking[0].one_hot if marking else ()
