"""Train, val and test: stratified, seeded, the same on every machine, and written down."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from alexnet.data.reading import uncollected
from alexnet.data.source import SPLITS, Picture, Source, listed
from alexnet.errors import DataError, shown

VAL_SHARE = 0.1
TEST_SHARE = 0.1
COLUMNS = ("path", "label", "split", "content")


class Identities(Protocol):
    """What tells pictures apart, whatever they are called; a store knows."""

    @property
    def rows(self) -> dict[str, int]:
        """The readable pictures, by path."""
        ...

    def content(self, path: str) -> str:
        """Return a word for the picture's content."""
        ...

    def look(self, path: str) -> str:
        """Return a word for what the picture shows; copies share it."""
        ...


def refuse_unlearnable(source: Source) -> None:
    """Refuse pictures that nothing can be learned from, before any of them is read.

    Raises:
        DataError: fewer than two classes have pictures, or pictures are split but none is for training.
    """
    labels = {picture.label for picture in source.pictures}
    if len(labels) < 2:
        raise DataError(
            f"{source.name!r} has pictures of one class only ({listed(labels)}); "
            "a classifier needs at least two class folders"
        )
    present = {picture.split for picture in source.pictures} - {None}
    if not present:
        return
    if "train" not in present:
        named = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no train pictures, only {named}; add a train folder")
    learned = {picture.label for picture in source.pictures if picture.split in ("train", None)}
    unlearned = [picture for picture in source.pictures if picture.label not in learned]
    if unlearned:
        first = unlearned[0]
        where = " and ".join(sorted({str(each.split) for each in unlearned if each.label == first.label}))
        raise DataError(
            f"{source.name!r} has the class {shown(first.label)} in {where} only, so it cannot be learned; "
            f"add pictures of it to train, or take {shown(first.path)} and the like away"
        )


@uncollected()
def split(source: Source, identities: Identities, seed: int) -> Source:
    """Give every readable picture a split; those that cannot be read are left out.

    Splits that the data brings are kept. Where ``val`` is missing it is taken from ``train``; where there are none,
    a tenth of each class becomes ``val`` and a tenth ``test``. Which pictures depends on the seed and on their content
    alone: not on their names, on whether they lie in a folder or an archive, or on the order in which they are listed.
    Copies of one picture stay on one side: in ``train``, where they are labelled differently.

    Raises:
        DataError: fewer than two classes, no train or val pictures, or a class without any to learn from.
    """
    source = source.with_pictures(tuple(each for each in source.pictures if each.path in identities.rows))
    refuse_unlearnable(source)
    present = {picture.split for picture in source.pictures}
    if present == {None}:
        chosen = _divide(source.pictures, identities, seed, {"test": TEST_SHARE, "val": VAL_SHARE})
    elif "val" not in present:
        chosen = _divide(source.in_split("train"), identities, seed, {"val": VAL_SHARE})
    else:
        chosen = {}
    pictures = tuple(
        Picture(each.path, each.label, chosen.get(each.path, each.split or "train")) for each in source.pictures
    )
    if not any(picture.split == "val" for picture in pictures):
        raise DataError(f"{source.name!r} is too small to split: every class needs at least three different pictures")
    return source.with_pictures(pictures)


def write_splits(path: Path, source: Source, identities: Identities) -> None:
    """Write ``path,label,split,content``, a line a picture."""
    # A line break in a name ends the line, unless it is quoted; csv thinks of only one of the two kinds.
    everything = any("\r" in picture.path for picture in source.pictures)
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL)
        writer.writerow(COLUMNS)
        for each in source.pictures:
            writer.writerow((each.path, each.label, each.split, identities.content(each.path)))


def apply_splits(source: Source, path: Path, needed: str | None = None) -> Source:
    """Give the source's pictures the splits written in a file; pictures that the file does not name are left out.

    Args:
        source: the pictures.
        path: what ``write_splits`` wrote.
        needed: the one split whose pictures must all be there still; every split where not given.

    Raises:
        DataError: the file is missing or is not a split file, or names needed pictures that are gone.
    """
    rows = _read(path, "split")
    found = {picture.path for picture in source.pictures}
    gone = [name for name, split in rows.items() if name not in found and needed in (None, split)]
    if gone:
        raise DataError(
            f"{len(gone)} of {len(rows)} pictures in {str(path)!r} are no longer in {source.name!r}, "
            f"the first is {gone[0]!r}; put them back, or train anew"
        )
    pictures = (Picture(each.path, each.label, rows[each.path]) for each in source.pictures if each.path in rows)
    return source.with_pictures(tuple(pictures))


def refuse_changed(source: Source, identities: Identities, path: Path) -> None:
    """Make sure that pictures are still what they were when their splits were written.

    Raises:
        DataError: one has changed, or cannot be read any more; it may have been learned from under another name.
    """
    contents = _read(path, "content")
    now = (identities.content(each.path) if each.path in identities.rows else None for each in source.pictures)
    changed = [each.path for each, word in zip(source.pictures, now, strict=True) if contents.get(each.path) != word]
    if changed:
        raise DataError(
            f"{len(changed)} pictures in {source.name!r} are not what they were when {str(path)!r} was written, "
            f"the first is {changed[0]!r}; put them back, or train anew"
        )


def _read(path: Path, column: str) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {row["path"]: row[column] for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"cannot read the splits in {str(path)!r}: {error}") from error


def _divide(pictures: Iterable[Picture], identities: Identities, seed: int, shares: dict[str, float]) -> dict[str, str]:
    """Choose a share of each class for other splits; what is left for ``train`` is never empty."""
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[identities.look(picture.path)].append(picture)
    by_label: dict[str, list[list[Picture]]] = defaultdict(list)
    for group in groups.values():
        # What has two labels cannot be judged by, so training keeps it.
        if len({picture.label for picture in group}) == 1:
            by_label[group[0].label].append(group)

    def place_in_queue(group: list[Picture]) -> bytes:
        content = min(identities.content(picture.path) for picture in group)
        return hashlib.sha256(f"{seed}:{content}".encode()).digest()

    chosen: dict[str, str] = {}
    for members in by_label.values():
        queue = sorted(members, key=place_in_queue)
        n_pictures = sum(map(len, members))
        for name, share in shares.items():
            # At least one, so that small classes are judged too, unless training would be left with nothing.
            taken, queue = _take(queue, max(1, round(share * n_pictures)))
            chosen.update((picture.path, name) for group in taken for picture in group)
    return chosen


def _take(queue: list[list[Picture]], n_wanted: int) -> tuple[list[list[Picture]], list[list[Picture]]]:
    """Return the first groups that make up as many pictures, and the others; at least one is left.

    Groups larger than what is still wanted are passed over; where all are, the smallest is taken.
    """
    taken: list[list[Picture]] = []
    left: list[list[Picture]] = []
    for group in queue:
        if len(group) <= n_wanted and len(taken) < len(queue) - 1:
            taken.append(group)
            n_wanted -= len(group)
        else:
            left.append(group)
    if not taken and len(left) > 1:
        smallest = min(range(len(left)), key=lambda i: len(left[i]))
        taken = [left.pop(smallest)]
    return taken, left
