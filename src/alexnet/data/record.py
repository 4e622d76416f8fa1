"""The record of a run's images, ``splits.csv``. It finds them by content, wherever they are stored later."""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from alexnet.data.fingerprint import Fingerprint, SeenImages
from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.sources.open import open_source
from alexnet.data.sources.vocabulary import nfc
from alexnet.data.split import ImageIndex
from alexnet.errors import DataError, listed, shown

SPLITS_FILE = "splits.csv"
# In the same folder, where training began with the weights of another model.
INHERITED_FILE = "init.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a run.

    Attributes:
        path: its path in the source.
        label: its class.
        split: ``train``, ``val`` or ``test``.
        content: digest of its content, in hexadecimal.
    """

    path: str
    label: str
    split: str
    content: str


COLUMNS = [field.name for field in fields(Row)]


@dataclass(frozen=True)
class Found:
    """The images of a run that were found in a source.

    Attributes:
        pairs: each row of the record with the image of the same content, or None.
        added: the readable images of the source that the record does not name.
    """

    pairs: tuple[tuple[Row, LabelledImage | None], ...]
    added: tuple[LabelledImage, ...]

    @property
    def missing(self) -> list[Row]:
        """The rows whose images are gone or have changed."""
        return [row for row, image in self.pairs if image is None]

    @property
    def relabelled(self) -> list[tuple[Row, LabelledImage]]:
        """The rows and images with different labels; two spellings of an accent are one label."""
        found = [(row, image) for row, image in self.pairs if image is not None]
        return [(row, image) for row, image in found if nfc(image.label) != nfc(row.label)]


def write_splits(path: Path, source: Source, index: ImageIndex) -> None:
    """Write a line for each image: ``path,label,split,content``."""
    # A line break in a name ends the line, unless it is quoted. Of the two kinds, csv may quote only \n.
    everything = any("\r" in image.path for image in source.images)
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL)
        writer.writerow(COLUMNS)
        for each in source.images:
            writer.writerow((each.path, each.label, each.split, index.content(each.path)))


def read_splits(path: Path) -> tuple[Row, ...]:
    """Return the rows that ``write_splits`` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            lines = csv.reader(file)
            if next(lines, None) != COLUMNS:
                raise DataError(f"{str(path)!r} is damaged: its first line is not {','.join(COLUMNS)}; put it back")
            return tuple(_row(path, lines.line_num, cells) for cells in lines)
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot read the splits in {str(path)!r}: {error}; put the file back") from error


def _row(path: Path, number: int, cells: list[str]) -> Row:
    if len(cells) != len(COLUMNS) or cells[2] not in SPLITS or not re.fullmatch("[0-9a-f]{32}", cells[3]):
        raise DataError(f"{str(path)!r} is damaged at line {number}; put back the file that training wrote")
    return Row(*cells)


def write_inherited(run: Path, inherited: SeenImages) -> None:
    """Save which images the initial weights of a run have seen."""
    text = json.dumps(inherited.to_json())
    (run / INHERITED_FILE).write_text(text + "\n", encoding="utf-8")


def read_inherited(run: Path) -> SeenImages:
    """Return which images the initial weights of a run have seen; none where they were random.

    Raises:
        DataError: the file is damaged.
    """
    file = run / INHERITED_FILE
    if not file.exists():
        return SeenImages()
    try:
        return SeenImages.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{str(file)!r} is damaged ({error}); put back the one that training wrote") from error


def seen_by(run: Path) -> SeenImages:
    """Return which images a run trains and validates on, with those that its initial weights have seen.

    Raises:
        DataError: ``splits.csv`` or ``init.json`` is missing or damaged.
    """
    rows = read_splits(run / SPLITS_FILE)
    train, val = (Fingerprint.of(row.content for row in rows if row.split == split) for split in ("train", "val"))
    return SeenImages(train=train, val=val) | read_inherited(run)


def find(rows: Sequence[Row], source: Source, index: ImageIndex) -> Found:
    """Find the images of a run in a source by content: first under the same path, then anywhere."""
    left = {each.path: each for each in source.images if each.path in index.rows}
    found: dict[int, LabelledImage] = {}
    for number, row in enumerate(rows):
        if row.path in left and index.content(row.path) == row.content:
            found[number] = left.pop(row.path)
    # Copies of one image may have two labels: a copy with the row's label is preferred.
    keys: tuple[Callable[[str, str], object], ...] = (lambda *both: both, lambda content, label: content)
    for key in keys:
        same: dict[object, list[LabelledImage]] = defaultdict(list)
        for each in left.values():
            same[key(index.content(each.path), nfc(each.label))].append(each)
        for number, row in enumerate(rows):
            if number not in found and (candidates := same.get(key(row.content, nfc(row.label)))):
                found[number] = left.pop(candidates.pop().path)
    return Found(tuple((row, found.get(number)) for number, row in enumerate(rows)), tuple(left.values()))


def open_recorded(recorded: str, data_dir: str | os.PathLike[str] | None, run: Path, command: str) -> Source:
    """Open the data of a run.

    Args:
        recorded: their name in the run's settings.
        data_dir: the folder of named sets.
        run: the run folder.
        command: the command that takes their new place, for the error message.

    Raises:
        DataError: they are not there any more, or cannot be opened.
    """
    if Path(recorded).is_absolute() and not os.path.lexists(recorded):
        raise DataError(
            f"the images of the run {str(run)!r} are not at {recorded!r} any more; say where they are: {command}"
        )
    return open_source(recorded, data_dir, recorded=True)


def restored(source: Source, index: ImageIndex, classes: tuple[str, ...], run: Path, command: str) -> Source:
    """Return the images of a run from a source, in the run's order, with its splits, labels and classes.

    Args:
        source: the images as they are now.
        index: their digests.
        classes: those of the run.
        run: the run folder.
        command: the command that takes their new place, for the error message.

    Raises:
        DataError: images are gone or have changed, or have other labels now.
    """
    rows = read_splits(run / SPLITS_FILE)
    found = find(rows, source, index)
    if found.missing:
        missing = missing_message(found.missing, len(rows), run, source)
        raise DataError(f"{missing}; put them back, or say where they are: {command}")
    if found.relabelled:
        raise DataError(f"{relabelled_message(found.relabelled)}; put the labels back, or start a new run")
    images = (LabelledImage(each.path, row.label, row.split) for row, each in found.pairs if each is not None)
    warnings = (*source.warnings, *added_warnings(found.added))
    return replace(source, images=tuple(images), classes=classes, warnings=warnings)


def missing_message(missing: Sequence[Row], n_rows: int, run: Path, source: Source) -> str:
    """Return the error message for images of a run that are gone or have changed."""
    paths = {each.path for each in source.images}
    n_changed = sum(row.path in paths for row in missing)
    how = "have changed" if n_changed == len(missing) else "are gone or have changed" if n_changed else "are gone"
    return (
        f"{len(missing)} of {n_rows} images of the run {str(run)!r} {how} in {source.name!r}: "
        f"{listed((row.path for row in missing), 2)}"
    )


def relabelled_message(relabelled: Sequence[tuple[Row, LabelledImage]]) -> str:
    """Return the message for images whose labels differ from those of the run."""
    row, image = relabelled[0]
    return (
        f"{len(relabelled)} images have other labels than when the run began, the first is {shown(image.path)}: "
        f"{shown(row.label)} then, {shown(image.label)} now"
    )


def added_warnings(added: Sequence[LabelledImage]) -> list[str]:
    """Return a warning on images that the run does not have, if there are any."""
    paths = listed((each.path for each in added), 2)
    return [f"left out {len(added)} images that the run's {SPLITS_FILE} does not name: {paths}"] if added else []
