"""Finds the columns of a table that hold paths, labels and splits, whatever their names."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alexnet.data.source import SPLITS
from alexnet.data.sources.tables.places import Files
from alexnet.data.sources.tables.table import COLUMNS, Table, refuse_duplicate_columns
from alexnet.data.sources.vocabulary import nfc, split_of
from alexnet.errors import DataError, listed, nearest, shown, words
from alexnet.images.decoding import ends_like_image

# Other names for path, label and split, in lower case and without separators between words.
_PATHS = frozenset(
    {"file", "files", "filename", "filenames", "filepath", "filepaths", "fname", "fullpath", "id", "idcode", "name"}
    | {"image", "images", "imageid", "imagename", "imagepath", "imagefile", "imagefilename", "imagefilepath"}
    | {"img", "imgid", "imgname", "imgpath", "imgfile", "picture", "photo", "relativepath", "relpath", "paths"}
)
_LABELS = frozenset(
    {"labels", "labelname", "labelid", "class", "classes", "classname", "classid", "classlabel", "category"}
    | {"categoryname", "categoryid", "target", "species", "breed", "variety", "diagnosis", "dx", "groundtruth"}
)
# A column of these names is used if all its cells are splits; else it is ignored, with a warning.
_SPLITS = frozenset(
    {"splits", "subset", "set", "partition", "dataset", "datasplit", "splitname", "phase", "fold", "usage"}
    | {"isvalid", "isval", "istrain", "istraining", "istrainingimage", "istest"}
)
# Columns of true and false: true is this split, false is train.
_SPLIT_OF_FLAG = {"isvalid": "val", "isval": "val", "istest": "test"}
# Row numbers, as pandas writes them.
_INDEX = re.compile(r"(unnamed\d*|index)?")
_ONE_HOT = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_WHOLE = re.compile(r"-?\d+\.0")
# A column with a larger share of different words holds no labels, but names, sentences or measurements.
_LARGEST_SHARE = 0.5


@dataclass(frozen=True)
class Listing:
    """What a table says about each image.

    Attributes:
        table: the table; without a header, its first line is a row too.
        paths: the paths, as written.
        labels: the classes.
        splits: the splits; None if the table has none.
        one_hot: the classes that have a column each; empty if one column holds the class.
        warnings: how columns were read, a line each.
    """

    table: Table
    paths: list[str]
    labels: list[str]
    splits: list[str | None]
    one_hot: tuple[str, ...]
    warnings: tuple[str, ...]


def find_columns(table: Table, files: Files, folder: str) -> Listing:
    """Find the columns of a table and read them.

    Args:
        table: the table.
        files: the files of its container. If names do not decide, the column of paths is the one that names files.
        folder: the folder of the table.

    Raises:
        DataError: a column is missing or ambiguous, or a row has an error.
    """
    warnings: list[str] = []
    table = _with_header(table, files, folder, warnings)
    refuse_duplicate_columns(table.columns, table.where)
    usable = [n for n, name in enumerate(table.columns) if not _INDEX.fullmatch(_word(name))]
    split, splits = _split_column(table, usable, warnings)
    usable = [n for n in usable if n != split]
    path = _path_column(table, usable, files, folder)
    usable.remove(path)
    label, marked = _label_column(table, usable, path, warnings)
    paths = _require_values(table, table.texts(path), "path")
    labels, one_hot = (
        (_require_values(table, table.texts(label), "label"), ()) if label is not None else _one_hot(table, marked)
    )
    if label is not None:
        labels = _labels(table, labels, warnings)
    roles = [(path, "path"), *([(label, "label")] if label is not None else []), (split, "split")]
    read = [
        f"{table.columns[n]!r} as {role}" for n, role in roles if n is not None and table.columns[n].lower() != role
    ]
    if one_hot:
        read.append(f"the one of {listed(one_hot)} that is 1 as label")
    if read:
        warnings.insert(0, f"{table.name}: read {', '.join(read[:-1])}{' and ' if read[1:] else ''}{read[-1]}")
    return Listing(table, paths, labels, splits, one_hot, tuple(warnings))


def _with_header(table: Table, files: Files, folder: str, warnings: list[str]) -> Table:
    """Return the table with names for its columns, also if it has no header."""
    known = _PATHS.union(COLUMNS) | _LABELS | _SPLITS
    is_row = any(files.has_image(name, folder) for name in table.columns)
    if not table.header_line or (known & set(map(_word, table.columns)) and not is_row):
        return table
    images = [name for name in table.columns if ends_like_image(name) or files.likeness(name, folder)]
    if not images:
        return table
    if len(table.columns) == 2 and len(images) == 1:
        names = ("path", "label") if images[0] == table.columns[0] else ("label", "path")
        warnings.append(f"{table.name}: no header; the columns were read as {' and '.join(names)}")
        return table.without_header(names)
    raise DataError(
        f"{table.where!r} has no header: its first line already lists {shown(images[0])}; add a first line with the "
        "names of the columns, among them path and label"
    )


def _split_column(table: Table, usable: Sequence[int], warnings: list[str]) -> tuple[int | None, list[str | None]]:
    """Return the split column and its splits. A column with another name counts only if all its cells are splits."""
    exact = [n for n in usable if table.columns[n].lower() == "split"]
    likely = [n for n in usable if _word(table.columns[n]) in _SPLITS and _is_text(table, n)]
    found: list[tuple[int, list[str | None]]] = []
    for n in exact or likely:
        texts = table.texts(n)
        known = {text: _split_of_cell(_word(table.columns[n]), text) for text in set(texts)}
        unknown = sorted(text for text, split in known.items() if text and not split)
        if unknown and exact:
            row = texts.index(unknown[0])
            raise DataError(
                f"{table.where!r} {table.row(row)} has the split {unknown[0]!r}{nearest(unknown[0], SPLITS)}"
            )
        if unknown:
            what = f"the column {table.columns[n]!r}: {listed(unknown, 3)} are not train, val or test"
            warnings.append(f"{table.name}: ignored {what}")
        elif any(known.values()):
            found.append((n, [known[text] for text in texts]))
    if not found:
        return None, [None] * len(table.rows)
    if any(splits != found[0][1] for _, splits in found):
        raise DataError(_several_columns(table, [n for n, _ in found], "split"))
    column, splits = found[0]
    if None in splits:
        row = splits.index(None)
        raise DataError(f"{table.where!r} {table.row(row)} has no split, but other rows have one; fill it in")
    return column, splits


def _split_of_cell(column: str, text: str) -> str | None:
    """Return the split that a cell means; None if it means none."""
    flag = _ONE_HOT.get(text.lower()) if column in _SPLIT_OF_FLAG else None
    if flag is None:
        return split_of(text)
    return _SPLIT_OF_FLAG[column] if flag else "train"


def _path_column(table: Table, usable: Sequence[int], files: Files, folder: str) -> int:
    if exact := [n for n in usable if table.columns[n].lower() == "path"]:
        return exact[0]
    named = [n for n in usable if _word(table.columns[n]) in _PATHS]
    if len(named) == 1:
        return named[0]
    if table.rows:
        likeness = {n: files.likeness(table.text(0, n), folder) for n in named or usable if _is_text(table, n)}
        best = [n for n in likeness if likeness[n] and likeness[n] == max(likeness.values())]
        if len(best) == 1:
            return best[0]
    raise DataError(_several_columns(table, named, "path") if named else _no_column(table, "path", usable))


def _label_column(table: Table, usable: Sequence[int], path: int, warnings: list[str]) -> tuple[int | None, list[int]]:
    """Return the label column; or, if each class has a column of its own, None and these columns."""
    exact = [n for n in usable if table.columns[n].lower() == "label"]
    named = [n for n in usable if _word(table.columns[n]) in _LABELS and (not exact or _is_text(table, n))]
    if exact:
        if (names := _name_column(table, [*exact, *named])) is not None and names != exact[0]:
            name = table.columns[names]
            warnings.append(f"{table.name}: {name!r} has names for the classes in 'label'; to use them, name it label")
        return exact[0], []
    if named:
        column = named[0] if len(named) == 1 else _name_column(table, named)
        if column is None:
            raise DataError(_several_columns(table, named, "label"))
        return column, []
    if len(usable) > 1 and all(_is_one_hot(table, n) for n in usable):
        return None, list(usable)
    if len(usable) != 1:
        raise DataError(_no_column(table, "label", [path, *usable]))
    n_labels, n_rows = len(set(table.texts(usable[0]))), len(table.rows)
    if n_labels > max(2, _LARGEST_SHARE * n_rows):
        raise DataError(
            f"{table.where!r} has no column label, and {table.columns[usable[0]]!r} has {n_labels} different words in "
            f"{n_rows} rows, too many for labels; if it holds labels, name it label"
        )
    return usable[0], []


def _name_column(table: Table, columns: Sequence[int]) -> int | None:
    """Return the column of words if all columns hold the same classes, the others as numbers; else None."""
    texts = [table.texts(n) for n in columns]
    if len(columns) < 2 or any(len(set(zip(texts[0], each, strict=True))) != len(set(each)) for each in texts):
        return None
    if any(len(set(each)) != len(set(texts[0])) for each in texts):
        return None
    of_words = [n for n, each in zip(columns, texts, strict=True) if not all(re.fullmatch(r"[-\d.]*", t) for t in each)]
    return of_words[0] if len(of_words) == 1 else None


def _is_one_hot(table: Table, column: int) -> bool:
    return _is_text(table, column) and {text.lower() for text in table.texts(column)} <= set(_ONE_HOT)


def _one_hot(table: Table, columns: Sequence[int]) -> tuple[list[str], tuple[str, ...]]:
    """Return the label of each row, and the classes, of a table with a column for each class."""
    names = [nfc(table.columns[n]) for n in columns]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{table.where!r} has {names.count(repeated)} columns named {repeated}; rename all but one")
    labels = []
    for row in range(len(table.rows)):
        marked = [name for n, name in zip(columns, names, strict=True) if _ONE_HOT[table.text(row, n).lower()]]
        if len(marked) != 1:
            what = f"1 in {listed(marked)}" if marked else f"1 in none of {listed(names)}"
            raise DataError(
                f"{table.where!r} {table.row(row)} has {what}; an image has one class: correct it or delete it"
            )
        labels.append(marked[0])
    return labels, tuple(names)


def _labels(table: Table, labels: list[str], warnings: list[str]) -> list[str]:
    """Return labels in NFC form, with integers that pandas wrote as floats changed back; refuse lists."""
    different = set(labels)
    if different and all(label[0] + label[-1] in ("[]", "{}") for label in different):
        raise DataError(
            f"{table.where!r} {table.row(0)} has a list as label, {shown(labels[0])}, like all rows; write one word"
        )
    if different and all(map(_WHOLE.fullmatch, different)):
        # pandas turns a column of integers into floats if one is missing.
        warnings.append(f"{table.name}: labels such as {labels[0]!r} were read as {labels[0][:-2]!r}")
        return [label[:-2] for label in labels]
    # Each name once, not once for each row.
    named = {label: nfc(label) for label in different}
    return [named[label] for label in labels]


def _require_values(table: Table, texts: list[str], role: str) -> list[str]:
    if "" in texts:
        raise DataError(f"{table.where!r} {table.row(texts.index(''))} has no {role}; fill it in")
    return texts


def _several_columns(table: Table, columns: Iterable[int], role: str) -> str:
    found = listed(table.columns[n] for n in columns)
    return f"{table.where!r} has several columns that could be the {role}: {found}; name the right one {role}"


def _no_column(table: Table, role: str, usable: Sequence[int]) -> str:
    missing = [role]
    if role == "path" and not any(
        table.columns[n].lower() == "label" or _word(table.columns[n]) in _LABELS for n in usable
    ):
        missing.append("label")
    return (
        f"{table.where!r} has no column {' and no column '.join(missing)}; it has {words(table.columns) or 'none'}; "
        "a table needs path and label, and may have split"
    )


def _is_text(table: Table, column: int) -> bool:
    """Return whether a column holds no lists and no objects."""
    return all(isinstance(cell, str) for cells in table.rows for cell in cells[column : column + 1])


def _word(name: str) -> str:
    """Return the name of a column in lower case without separators: "Image ID" and "image_id" are the same."""
    return re.sub(r"[\W_]+", "", name).casefold()
