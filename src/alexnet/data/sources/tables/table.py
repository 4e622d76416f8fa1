"""Reads the cells of a table: CSV, TSV or JSON lines, as all kinds of programs write them.

Not with pandas, which is not a dependency, and which guesses types and reads "NA" and "None" as missing.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from alexnet.errors import DataError, shown

# The names of the columns.
COLUMNS = ("path", "label", "split")
TABLE_ENDINGS = (".csv", ".tsv", ".jsonl")
# First bytes of files that are not text tables, whatever their endings.
_SIGNATURES = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "a database",
    b"version https://git-lfs": "a pointer of Git LFS, not the file (git lfs pull fetches it)",
}
# Byte order marks. UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_DELIMITERS = ",;\t|"
# A first line with which Excel names the delimiter.
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

# Text without spaces around it; from JSON also lists and objects.
Cell = str | list[Any] | dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The cells of a table.

    Attributes:
        where: its path, for errors.
        name: its name in warnings.
        columns: the names of the columns; the first line if there is no header.
        header_line: the number of the header's line; 0 for JSON lines.
        rows: the cells of each row; a row may have fewer cells than there are columns.
        lines: the number of the last line of each row.
    """

    where: str
    name: str
    columns: tuple[str, ...]
    header_line: int
    rows: list[list[Cell]]
    lines: list[int]

    def row(self, number: int) -> str:
        """Return the words for a row in messages, by its index."""
        return f"row {number + 1} (line {self.lines[number]})"

    def text(self, number: int, column: int) -> str:
        """Return a cell; empty if the row lacks it.

        Raises:
            DataError: it is a list or an object.
        """
        cells = self.rows[number]
        cell = cells[column] if column < len(cells) else ""
        if not isinstance(cell, str):
            kind = "a list" if isinstance(cell, list) else "an object"
            raise DataError(
                f"{self.where!r} {self.row(number)} has {kind} as {self.columns[column]}: {shown(cell)}; "
                "write text or a number"
            )
        return cell

    def texts(self, column: int) -> list[str]:
        """Return the cells of a column.

        Raises:
            DataError: a cell is a list or an object.
        """
        return [self.text(number, column) for number in range(len(self.rows))]

    def without_header(self, names: tuple[str, ...]) -> "Table":
        """Return the table with its header as the first row, and with other names for its columns."""
        rows: list[list[Cell]] = [[*self.columns], *self.rows]
        return Table(self.where, self.name, names, 0, rows, [self.header_line, *self.lines])


def is_table(path: str) -> bool:
    """Return whether a file is a table, by its ending."""
    return path.lower().endswith(TABLE_ENDINGS)


def refuse_duplicate_columns(columns: Iterable[str], where: str) -> None:
    """Refuse two columns named path, label or split.

    Raises:
        DataError: there are two.
    """
    found = [name.lower() for name in columns]
    for name in COLUMNS:
        if found.count(name) > 1:
            raise DataError(f"{where!r} has {found.count(name)} columns named {name}; rename all but one")


def read_table(content: bytes, name: str, where: str) -> Table:
    """Read a table.

    Args:
        content: its bytes.
        name: the name of the file; its ending decides the format.
        where: its path, for errors.

    Raises:
        DataError: it is not text, is empty, or has another format than its ending says.
    """
    text = _text(content, where)
    if not text.strip():
        raise DataError(f"{where!r} is empty; a table needs a row for each image, with the columns path and label")
    return (_json_table if name.lower().endswith(".jsonl") else _csv_table)(text, name, where)


def _text(content: bytes, where: str) -> str:
    for beginning, what in _SIGNATURES.items():
        if content.startswith(beginning):
            raise DataError(f"{where!r} is {what}, not a text table; save it as 'CSV UTF-8'")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and b"\0" in content:
        raise DataError(
            f"{where!r} holds NUL bytes: it is damaged, or UTF-16 without a byte order mark; save it as 'CSV UTF-8'"
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding in ("utf-16", "utf-32"):
            raise DataError(f"{where!r} is damaged {encoding.upper()} text; save it as 'CSV UTF-8'") from None
        # No program can know which old encoding it is. A wrong guess would give classes wrong names.
        line = content.count(b"\n", 0, error.start) + 1
        around = re.split(
            r"[\r\n,;\t|]", content[max(0, error.start - 20) : error.start + 20].decode("cp1252", "replace")
        )
        odd = next((part for part in around if not part.isascii()), "")
        raise DataError(
            f"{where!r} is not UTF-8 text: line {line} is perhaps Windows-1252, {odd.strip()!r}; save it as 'CSV UTF-8'"
        ) from None


def _csv_table(text: str, name: str, where: str) -> Table:
    skipped, delimiter = _dialect(text, name)
    lines = _Lines(islice(io.StringIO(text, newline=""), skipped, None))
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    columns: tuple[str, ...] | None = None
    table = Table(where, name, (), 0, [], [])
    try:
        for row in reader:
            cells: list[Cell] = [cell.strip() for cell in row]
            line = reader.line_num + skipped
            if lines.ended:
                raise DataError(f"{where!r} has an unclosed quote before line {line}; close it, or double it")
            if not any(cells):
                continue
            if columns is None:
                columns = tuple(map(str, cells))
                table = Table(where, name, columns, line, [], [])
                continue
            if any(cells[len(columns) :]):
                raise DataError(
                    f"{where!r} row {len(table.rows) + 1} (line {line}) has {len(cells)} cells, but there are "
                    f"{len(columns)} columns; put cells that hold {delimiter!r} into double quotes"
                )
            table.rows.append(cells)
            table.lines.append(line)
    except csv.Error as error:
        raise DataError(f"{where!r} line {reader.line_num + skipped} is not CSV: {error}; correct it") from None
    return table


class _Lines:
    """The lines of a text. ``ended`` is true once a row has asked for more lines: then it has an unclosed quote."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.ended = False
        self._lines = lines

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            return next(self._lines)
        except StopIteration:
            self.ended = True
            raise


def _dialect(text: str, name: str) -> tuple[int, str]:
    """Return the number of lines before the header, and the delimiter."""
    header, skipped = "", 0
    for skipped, line in enumerate(io.StringIO(text, newline="")):
        header = line.strip("\r\n")
        if found := _SEPARATOR.fullmatch(header):
            return skipped + 1, found[1]
        if header.strip():
            break
    return skipped, "\t" if name.lower().endswith(".tsv") else max(_DELIMITERS, key=header.count)


def _json_table(text: str, name: str, where: str) -> Table:
    columns: dict[str, int] = {}
    rows: list[list[Cell]] = []
    lines: list[int] = []
    # Not splitlines: it also splits at Unicode line ends, which JSON allows inside text.
    for line_number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            continue
        row = f"row {len(rows) + 1} (line {line_number})"
        try:
            named = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where!r} {row} is not JSON: {error}; correct it") from None
        if not isinstance(named, dict):
            raise DataError(f"{where!r} {row} is not a JSON object; write {{'path': ..., 'label': ...}}")
        cells: list[Cell] = [""] * len(columns)
        keys = [ours if (ours := key.strip().lower()) in COLUMNS else key.strip() for key in named]
        refuse_duplicate_columns(keys, where)
        for key, cell in zip(keys, named.values(), strict=True):
            number = columns.setdefault(key, len(columns))
            cells.extend("" for _ in range(number + 1 - len(cells)))
            cells[number] = _cell(cell)
        rows.append(cells)
        lines.append(line_number)
    return Table(where, name, tuple(columns), 0, rows, lines)


def _cell(value: Any) -> Cell:
    # pandas writes a missing value as NaN, the only value that differs from itself.
    if value is None or value != value:
        return ""
    return value if isinstance(value, (list, dict)) else str(value).strip()
