"""A file of predictions that grows line by line, and to which a later process adds what is missing.

Beside FILE lies FILE.json, which is written first. It says which models made the predictions and how: lines of JSON and
CSV have no place for that.
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from alexnet.errors import SettingsError
from alexnet.files.atomic import UNSUPPORTED, atomic_file, lock, write_atomically
from alexnet.files.paths import expanded
from alexnet.files.typed_json import dataclass_from_json, parse_object

Kind = Literal["json", "csv"]
ENDINGS: dict[str, Kind] = {".jsonl": "json", ".json": "json", ".csv": "csv"}
NAMES: dict[Kind, str] = {"json": "lines of JSON", "csv": "CSV"}
# The key of FILE.json: the program that wrote it.
_MADE_BY = "alexnet predict"
# The files of a model folder that decide what it predicts.
_OF_A_MODEL = {".bin", ".json", ".safetensors", ".xml"}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the predictions in a file have in common.

    Attributes:
        models: ``digest`` of each model.
        top: how many classes each has, at most.
        kind: how each is written.
        folder: the working directory where paths are relative; None where all are absolute.
    """

    models: tuple[str, ...]
    top: int
    kind: Kind
    folder: str | None = None


@dataclass(frozen=True)
class ResultFile:
    """A file of predictions that is open for more.

    Attributes:
        held: the paths of the images that it held before.
    """

    held: frozenset[str]
    _file: BinaryIO

    def __contains__(self, path: str) -> bool:
        return _as_written(path) in self.held

    def add(self, line: str) -> None:
        """Append a line at once."""
        self._file.write(f"{_as_written(line)}\n".encode())
        self._file.flush()


@contextmanager
def open_results(path: Path, origin: Origin, header: str | None = None) -> Iterator[ResultFile]:
    """Open a file of predictions for more of them, or begin one.

    A line that a killed process has half written is removed, and so are the images that could not be read: they are
    tried again. While it is open, no other process can open it.

    Args:
        path: the file.
        origin: what the predictions in it have in common.
        header: its first line, if there is one.

    Raises:
        SettingsError: it holds something else, or other predictions; another process is writing to it; or there is no
            folder for it. It is left as it is.
        OSError: it cannot be written to.
    """
    target = expanded(path).resolve()
    beside = target.with_name(f"{target.name}.json")
    if not target.exists():
        _begin(target, beside, origin)
    with _alone(target, beside):
        _check_origin(target, beside, origin)
        held = _keep(target, header)
        with target.open("ab") as file:
            yield ResultFile(held, file)


def digest(model: Path) -> str:
    """Return the SHA-256 of a model: of a single file, or of the files in its folder that decide what it predicts."""
    files = [model] if model.is_file() else sorted(each for each in model.iterdir() if each.suffix in _OF_A_MODEL)
    whole = hashlib.sha256()
    for each in files:
        with each.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _begin(target: Path, beside: Path, origin: Origin) -> None:
    if not target.parent.is_dir():
        raise SettingsError(f"there is no folder {str(target.parent)!r} for {target.name!r}; create it first")
    if beside.exists():
        _read_origin(target, beside)  # replaced only if it is ours
    write_atomically(beside, json.dumps({_MADE_BY: asdict(origin)}, indent=2) + "\n")
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        raise SettingsError(f"another process has just begun {str(target)!r}; wait until it has ended") from None


@contextmanager
def _alone(target: Path, beside: Path) -> Iterator[None]:
    """Keep other processes from the file."""
    if not target.is_file() or not beside.is_file():
        raise _not_ours(target, beside)
    with beside.open("r+b") as file:
        try:
            lock(file, alone=True)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise SettingsError(f"another process is writing to {str(target)!r}; wait until it has ended") from None
        yield


def _check_origin(target: Path, beside: Path, now: Origin) -> None:
    before = _read_origin(target, beside)
    if before.models != now.models:
        what = "holds the predictions of another model"
    elif before.kind != now.kind:
        what = f"holds {NAMES[before.kind]}, not {NAMES[now.kind]}"
    elif before.top != now.top:
        what = f"was made with --top {before.top}, not {now.top}"
    elif now.folder not in (None, before.folder):
        where = "absolute" if before.folder is None else f"relative to {before.folder!r}"
        raise SettingsError(f"the paths in {str(target)!r} are {where}; give such paths, or write to another file")
    else:
        return
    raise SettingsError(f"{str(target)!r} {what}; write to another file")


def _read_origin(target: Path, beside: Path) -> Origin:
    try:
        return dataclass_from_json(Origin, parse_object(beside.read_text(encoding="utf-8"))[_MADE_BY])
    except (KeyError, ValueError):
        raise _not_ours(target, beside) from None


def _not_ours(target: Path, beside: Path) -> SettingsError:
    return SettingsError(
        f"{str(target)!r} cannot be continued: {beside.name!r} beside it does not say how alexnet predict made it; "
        "write to another file"
    )


def _keep(target: Path, header: str | None) -> frozenset[str]:
    """Rewrite the file with its whole lines of images that could be read. Return their paths.

    Raises:
        SettingsError: a line is not a prediction.
    """
    held = set()
    # No name has bytes that are not text any more, but half a line may: those stay as they are.
    with target.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file, atomic_file(target) as kept:
        if header is not None:
            kept.write(f"{header}\n".encode())
        whole = (line for line in file if line.endswith("\n"))
        records = _json_records(whole) if header is None else _csv_records(whole, header)
        try:
            for path, has_error, text in records:
                if not has_error:
                    held.add(_as_written(path))
                    kept.write(text.encode("utf-8", "surrogateescape"))
        except (KeyError, ValueError):
            raise SettingsError(
                f"{str(target)!r} is damaged after {len(held)} predictions; repair it, or write to another file"
            ) from None
    return frozenset(held)


def _json_records(lines: Iterator[str]) -> Iterator[tuple[str, bool, str]]:
    """Yield the path of each image, whether it could not be read, and the text.

    Raises:
        KeyError, ValueError: a line is not a prediction.
    """
    for line in lines:
        found = parse_object(line)
        yield str(found["path"]), "error" in found, line


def _csv_records(lines: Iterator[str], header: str) -> Iterator[tuple[str, bool, str]]:
    """Yield the same of CSV. A record has several lines if there is a line break in the name of an image."""
    taken: list[str] = []

    def taking() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    columns = next(csv.reader([header]))
    rows = csv.reader(taking(), strict=True)
    try:
        if next(rows, columns) != columns:
            raise ValueError
        taken.clear()
        for row in rows:
            if len(row) != len(columns):
                raise ValueError
            yield row[0], bool(row[-1]), "".join(taken)
            taken.clear()
    except csv.Error:
        if next(lines, None) is not None:  # the last record may be half of one
            raise ValueError from None


def _as_written(text: str) -> str:
    """Return a text whose bytes that are not text are written as escapes, which JSON reads as those bytes again."""
    return text.encode("utf-8", "backslashreplace").decode()
