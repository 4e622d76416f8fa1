"""Manifests: a table of pictures and labels, as CSV, TSV or a JSON object a line."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from alexnet.data.source import SPLIT_NAMES, Picture, Source, describe, natural_key
from alexnet.data.sources.container import Container
from alexnet.errors import DataError, nearest, words

MANIFEST_ENDINGS = (".csv", ".tsv", ".jsonl")
# A manifest of one of these names, in a folder or an archive without class folders, is found there.
MANIFEST_NAMES = tuple(f"manifest{ending}" for ending in MANIFEST_ENDINGS)
NEEDED = ("path", "label")


def open_manifest(container: Container, manifest: str, name: str) -> Source:
    """Read the pictures that a manifest in a folder or an archive lists, as a source called ``name``.

    The manifest has the columns ``path``, relative to the manifest, and ``label``; it may have ``split`` (``train``,
    ``val`` or ``test``) and others, which are ignored.

    Raises:
        DataError: a column is missing, or a row is at fault; the message names it.
    """
    where = str(PurePosixPath(container.name, manifest))
    folder = PurePosixPath(manifest).parent
    pictures: dict[str, Picture] = {}
    seen_at: dict[str, str] = {}
    for row, cells in _rows(container.content(manifest), manifest, where):
        empty = [name for name in NEEDED if not cells.get(name)]
        if empty:
            raise DataError(f"{where!r} {row} has no {empty[0]}; fill it in")
        path = _normal(folder / cells["path"])
        if path in pictures:
            raise DataError(f"{where!r} {row} lists {cells['path']!r} again, after {seen_at[path]}; delete one of them")
        if not container.exists(path):
            raise DataError(f"{where!r} {row} lists {cells['path']!r}, but there is no such file; correct the row")
        seen_at[path] = row
        pictures[path] = Picture(path, cells["label"], _split(cells.get("split"), where, row))
    if not pictures:
        raise DataError(f"{where!r} lists no pictures; it needs a row for each, with the columns path and label")
    without = [path for path, picture in pictures.items() if picture.split is None]
    if without and len(without) < len(pictures):
        raise DataError(f"{where!r} {seen_at[without[0]]} has no split, but other rows have; give all of them one")
    in_order = tuple(sorted(pictures.values(), key=lambda picture: natural_key(picture.path)))
    classes = tuple(sorted({picture.label for picture in in_order}, key=natural_key))
    return Source(name, in_order, classes, container, remarks=tuple(describe(in_order, classes)))


def _rows(content: bytes, manifest: str, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row with what to call it, and that it has the needed columns."""
    try:
        text = content.decode("utf-8-sig").lstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{where!r} is not UTF-8 text, see byte {error.start}; save it as UTF-8") from None
    if manifest.lower().endswith(".jsonl"):
        yield from _json_rows(text, where)
        return
    header = text.split("\n", 1)[0]
    delimiter = "\t" if manifest.lower().endswith(".tsv") else max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(columns, where)
        number = 0
        for cells in reader:
            if any(cell.strip() for cell in cells):
                number += 1
                yield f"row {number} (line {reader.line_num})", dict(zip(columns, map(str.strip, cells), strict=False))
    except csv.Error as error:
        raise DataError(f"{where!r} line {reader.line_num} is not CSV: {error}; correct it") from None


def _json_rows(text: str, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    number = 0
    for line_number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        number += 1
        row = f"row {number} (line {line_number})"
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where!r} {row} is not JSON: {error}; correct it") from None
        if not isinstance(cells, dict):
            raise DataError(f"{where!r} {row} is not a JSON object; write {{'path': ..., 'label': ...}}")
        named = {name.strip().lower(): cell for name, cell in cells.items()}
        _check_columns(list(named), where)
        yield row, {name: "" if cell is None else str(cell).strip() for name, cell in named.items()}


def _check_columns(found: list[str], where: str) -> None:
    for name in (*NEEDED, "split"):
        if found.count(name) > 1:
            raise DataError(f"{where!r} has {found.count(name)} columns called {name}; rename all but one")
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise DataError(
            f"{where!r} has no column {' and no column '.join(missing)}; it has {words(found) or 'none'}; "
            "a manifest needs path and label, and may have split"
        )


def _split(word: str | None, where: str, row: str) -> str | None:
    if not word:
        return None
    if word.lower() not in SPLIT_NAMES:
        raise DataError(f"{where!r} {row} has the split {word!r}{nearest(word, SPLIT_NAMES)}")
    return SPLIT_NAMES[word.lower()]


def _normal(path: PurePosixPath) -> str:
    """Return a path without detours; ``..`` goes up as far as the manifest's own folder allows, and beyond stays."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        else:
            parts.append(part)
    return str(PurePosixPath(*parts))


def is_table(path: str) -> bool:
    """Return whether a file ends like a table."""
    return path.lower().endswith(MANIFEST_ENDINGS)


def open_tables(container: Container, tables: dict[str, str], name: str) -> Source:
    raise NotImplementedError
