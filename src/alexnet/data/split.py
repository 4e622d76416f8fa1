"""Train, val and test: stratified, seeded, and the same on every machine; ``record`` writes them down."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from alexnet.data.source import SPLITS, Picture, Source, like
from alexnet.errors import DataError, listed, shown

VAL_SHARE = 0.1
TEST_SHARE = 0.1


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
        what = f"{source.name!r} has the class {shown(first.label)} in {where} only, so it cannot be learned"
        if alike := like(first.label, learned):
            raise DataError(f"{what}, but train has {listed(alike)}; if they are one class, give them one name")
        raise DataError(f"{what}; add pictures of it to train, or take {shown(first.path)} and the like away")


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
