"""Train, val and test: stratified, seeded, and the same on every machine; ``record`` writes them down."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import chain
from typing import Protocol

from alexnet.data.duplicates import alike
from alexnet.data.source import SPLITS, Picture, Source, like
from alexnet.errors import DataError, listed, shown

VAL_SHARE = 0.1
TEST_SHARE = 0.1

_Group = list[Picture]


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

    def hash(self, path: str) -> int | None:
        """Return 64 bits for what the picture looks like, few of which differ for two of a burst; or None."""
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
        if similar := like(first.label, learned):
            raise DataError(f"{what}, but train has {listed(similar)}; if they are one class, give them one name")
        raise DataError(f"{what}; add pictures of it to train, or take {shown(first.path)} and the like away")


def split(source: Source, identities: Identities, seed: int) -> Source:
    """Give every readable picture a split; those that cannot be read are left out.

    Splits that the data brings are kept. Where ``val`` is missing it is taken from ``train``; where there are none,
    a tenth of each class becomes ``val`` and a tenth ``test``. Which pictures depends on the seed and on their content
    alone: not on their names, on whether they lie in a folder or an archive, or on the order in which they are listed.
    Copies of one picture stay on one side: in ``train``, where they are labelled differently. So do pictures of a class
    that look alike, unless they are most of it; remarks say how many, and of which classes.

    Raises:
        DataError: fewer than two classes, no train or val pictures, or a class without any to learn from.
    """
    source = source.with_pictures(tuple(each for each in source.pictures if each.path in identities.rows))
    refuse_unlearnable(source)
    present = {picture.split for picture in source.pictures}
    chosen: dict[str, str] = {}
    remarks: list[str] = []
    if present == {None}:
        chosen, remarks = _divide(source.pictures, identities, seed, {"test": TEST_SHARE, "val": VAL_SHARE})
    elif "val" not in present:
        chosen, remarks = _divide(source.in_split("train"), identities, seed, {"val": VAL_SHARE})
    pictures = tuple(
        Picture(each.path, each.label, chosen.get(each.path, each.split or "train")) for each in source.pictures
    )
    if not any(picture.split == "val" for picture in pictures):
        raise DataError(f"{source.name!r} is too small to split: every class needs at least three different pictures")
    return replace(source, pictures=pictures, remarks=(*source.remarks, *remarks))


def _divide(
    pictures: Iterable[Picture], identities: Identities, seed: int, shares: dict[str, float]
) -> tuple[dict[str, str], list[str]]:
    """Choose a share of each class for other splits; what is left for ``train`` is never empty.

    Returns:
        The splits by path, and a line each on pictures that look alike: those kept together, and those that are not.
    """

    def place_in_queue(group: _Group) -> bytes:
        content = min(identities.content(picture.path) for picture in group)
        return hashlib.sha256(f"{seed}:{content}".encode()).digest()

    chosen: dict[str, str] = {}
    bursts: list[_Group] = []
    divided: dict[str, tuple[int, int]] = {}
    for label, copies in _copies_by_label(pictures, identities).items():
        n_pictures = sum(map(len, copies))
        together, apart = _parted(_families(copies, identities), n_pictures, len(shares))
        bursts += [_joined(family) for family in together if len(family) > 1]
        if apart:
            divided[label] = sum(len(_joined(family)) for family in apart), n_pictures
        queue = sorted([*map(_joined, together), *chain(*apart)], key=place_in_queue)
        for name, share in shares.items():
            # At least one, so that small classes are judged too, unless training would be left with nothing.
            taken, queue = _take(queue, max(1, round(share * n_pictures)))
            chosen.update((picture.path, name) for group in taken for picture in group)
    return chosen, [*_what_stays_together(bursts), *_what_is_divided(divided, shares)]


def _copies_by_label(pictures: Iterable[Picture], identities: Identities) -> dict[str, list[_Group]]:
    """Return the pictures of each label, in groups of those that show the very same."""
    groups: dict[str, _Group] = defaultdict(list)
    for picture in pictures:
        groups[identities.look(picture.path)].append(picture)
    by_label: dict[str, list[_Group]] = defaultdict(list)
    for group in groups.values():
        # What has two labels cannot be judged by, so training keeps it.
        if len({picture.label for picture in group}) == 1:
            by_label[group[0].label].append(group)
    return by_label


def _families(copies: Iterable[_Group], identities: Identities) -> list[list[_Group]]:
    """Return groups of copies with those that look like them."""
    # The first by content: what shows the same at the store's size may come from two sizes, and have two hashes.
    of_first = {min(group, key=lambda each: identities.content(each.path)): group for group in copies}
    return [[of_first[first] for first in family] for family in alike(of_first, identities.hash)]


def _parted(
    families: list[list[_Group]], n_pictures: int, n_others: int
) -> tuple[list[list[_Group]], list[list[_Group]]]:
    """Return the families of a class that can stay on one side, and those that cannot.

    One of more than half of the class cannot: the class would be judged by its odd ones, and where all of it lies on
    one table, a chain of unlike pictures may be as long (decision 9). None can where they are fewer than the splits.
    """
    too_few = len(families) <= n_others
    together: list[list[_Group]] = []
    apart: list[list[_Group]] = []
    for family in families:
        is_apart = len(family) > 1 and (too_few or 2 * len(_joined(family)) > n_pictures)
        (apart if is_apart else together).append(family)
    return together, apart


def _joined(family: Iterable[_Group]) -> _Group:
    return list(chain.from_iterable(family))


def _what_stays_together(bursts: list[_Group]) -> list[str]:
    if not bursts:
        return []
    n_groups = "1 group" if len(bursts) == 1 else f"{len(bursts)} groups"
    each = "" if len(bursts) == 1 else " each"
    return [f"kept {n_groups} of pictures that look alike ({sum(map(len, bursts))} pictures) on one side{each}"]


def _what_is_divided(divided: dict[str, tuple[int, int]], splits: Collection[str]) -> list[str]:
    if not divided:
        return []
    n_alike, n_pictures = map(sum, zip(*divided.values(), strict=True))
    names = [name for name in SPLITS if name in splits]
    # All photos of a fixed camera, and all radiographs of one view, may look alike too.
    return [
        f"{listed(divided)}: {n_alike} of {n_pictures} pictures look alike; if they are frames of a film or the like, "
        f"{' and '.join(names)} {'hold' if len(names) > 1 else 'holds'} pictures much like learned ones, and the "
        "result will look better than it is: give splits of your own"
    ]


def _take(queue: list[_Group], n_wanted: int) -> tuple[list[_Group], list[_Group]]:
    """Return the first groups that make up as many pictures, and the others; at least one is left.

    Groups larger than what is still wanted are passed over; where all are, the smallest is taken.
    """
    taken: list[_Group] = []
    left: list[_Group] = []
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
