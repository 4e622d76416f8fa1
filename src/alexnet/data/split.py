"""Train, val and test: stratified, seeded, the same on every machine, and written down."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from alexnet.data.source import SPLITS, Picture, Source
from alexnet.errors import DataError

VAL_SHARE = 0.1
TEST_SHARE = 0.1


def split(source: Source, seed: int) -> Source:
    """Give every picture a split.

    Splits that the data brings are kept. Where ``val`` is missing it is taken from ``train``; where there are none,
    a tenth of each class becomes ``val`` and a tenth ``test``. Which pictures depends on the seed and on each
    picture's path alone, never on the order in which a file system lists them.

    Raises:
        DataError: fewer than two classes with pictures, or no train or val pictures.
    """
    n_labels = len({picture.label for picture in source.pictures})
    if n_labels < 2:
        raise DataError(
            f"{source.name!r} has pictures of one class only ({source.pictures[0].label!r}); "
            "a classifier needs at least two class folders"
        )
    present = {picture.split for picture in source.pictures}
    if present == {None}:
        chosen = _divide(source.pictures, seed, {"test": TEST_SHARE, "val": VAL_SHARE})
    elif "train" not in present:
        raise DataError(f"{source.name!r} has no train pictures, only {_named(present)}; add a train folder")
    elif "val" not in present:
        chosen = _divide(source.in_split("train"), seed, {"val": VAL_SHARE})
    else:
        chosen = {}
    pictures = tuple(
        replace(picture, split=chosen.get(picture.path, picture.split or "train")) for picture in source.pictures
    )
    if not any(picture.split == "val" for picture in pictures):
        raise DataError(f"{source.name!r} is too small to split: every class needs at least three pictures")
    return source.with_pictures(pictures)


def write_splits(path: Path, source: Source) -> None:
    """Write ``path,label,split``, a line a picture."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        writer.writerows((picture.path, picture.label, picture.split) for picture in source.pictures)


def apply_splits(source: Source, path: Path, needed: str | None = None) -> Source:
    """Give the source's pictures the splits written in a file; pictures that the file does not name are left out.

    Args:
        source: the pictures.
        path: what ``write_splits`` wrote.
        needed: the one split whose pictures must all be there still; every split where not given.

    Raises:
        DataError: the file is missing or is not a split file, or names needed pictures that are gone.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = {row["path"]: row["split"] for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"cannot read the splits in {str(path)!r}: {error}") from error
    found = {picture.path for picture in source.pictures}
    gone = [name for name, split in rows.items() if name not in found and needed in (None, split)]
    if gone:
        raise DataError(
            f"{len(gone)} of {len(rows)} pictures in {str(path)!r} are no longer in {source.name!r}, "
            f"the first is {gone[0]!r}; put them back, or train anew"
        )
    pictures = (replace(picture, split=rows[picture.path]) for picture in source.pictures if picture.path in rows)
    return source.with_pictures(tuple(pictures))


def _divide(pictures: Iterable[Picture], seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Choose a share of each class for other splits, by path; what is left for ``train`` is never empty."""
    by_label: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_label[picture.label].append(picture)
    chosen: dict[str, str] = {}
    for members in by_label.values():
        queue = sorted(members, key=lambda picture: hashlib.sha256(f"{seed}:{picture.path}".encode()).digest())
        for name, share in shares.items():
            # At least one, so that small classes are judged too, unless training would be left with nothing.
            n_taken = min(max(1, round(share * len(members))), len(queue) - 1)
            for picture in queue[:n_taken]:
                chosen[picture.path] = name
            queue = queue[n_taken:]
    return chosen


def _named(splits: set[str | None]) -> str:
    return " and ".join(name for name in SPLITS if name in splits)
