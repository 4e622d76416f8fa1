"""Train, val and test: stratified, seeded, and the same on every machine; ``record`` writes them down."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import chain
from typing import Protocol

from alexnet.data.duplicates import alike
from alexnet.data.source import SPLITS, LabelledImage, Source, like
from alexnet.errors import DataError, listed, shown

VAL_SHARE = 0.1
TEST_SHARE = 0.1

_Group = list[LabelledImage]


class Identities(Protocol):
    """What tells images apart, whatever they are called; a store knows."""

    @property
    def rows(self) -> dict[str, int]:
        """The readable images, by path."""
        ...

    def content(self, path: str) -> str:
        """Return a word for the image's content."""
        ...

    def look(self, path: str) -> str:
        """Return a word for what the image shows; copies share it."""
        ...

    def hash(self, path: str) -> int | None:
        """Return 64 bits for what the image looks like, few of which differ for two of a burst; or None."""
        ...


def refuse_unlearnable(source: Source) -> None:
    """Refuse images that nothing can be learned from, before any of them is read.

    Raises:
        DataError: fewer than two classes have images, or images are split but none is for training.
    """
    labels = {image.label for image in source.images}
    if len(labels) < 2:
        raise DataError(
            f"{source.name!r} has images of one class only ({listed(labels)}); "
            "a classifier needs at least two class folders"
        )
    present = {image.split for image in source.images} - {None}
    if not present:
        return
    if "train" not in present:
        named = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no train images, only {named}; add a train folder")
    learned = {image.label for image in source.images if image.split in ("train", None)}
    unlearned = [image for image in source.images if image.label not in learned]
    if unlearned:
        first = unlearned[0]
        where = " and ".join(sorted({str(each.split) for each in unlearned if each.label == first.label}))
        what = f"{source.name!r} has the class {shown(first.label)} in {where} only, so it cannot be learned"
        if similar := like(first.label, learned):
            raise DataError(f"{what}, but train has {listed(similar)}; if they are one class, give them one name")
        raise DataError(f"{what}; add images of it to train, or take {shown(first.path)} and the like away")


def split(source: Source, identities: Identities, seed: int) -> Source:
    """Give every readable image a split; those that cannot be read are left out.

    Splits that the data brings are kept. Where ``val`` is missing it is taken from ``train``; where there are none,
    a tenth of each class becomes ``val`` and a tenth ``test``. Which images depends on the seed and on their content
    alone: not on their names, on whether they lie in a folder or an archive, or on the order in which they are listed.
    Copies of one image stay on one side: in ``train``, where they are labelled differently. So do images of a class
    that look alike, unless they are most of it; warnings say how many, and of which classes.

    Raises:
        DataError: fewer than two classes, no train or val images, or a class without any to learn from.
    """
    source = source.with_images(tuple(each for each in source.images if each.path in identities.rows))
    refuse_unlearnable(source)
    present = {image.split for image in source.images}
    chosen: dict[str, str] = {}
    warnings: list[str] = []
    if present == {None}:
        chosen, warnings = _divide(source.images, identities, seed, {"test": TEST_SHARE, "val": VAL_SHARE})
    elif "val" not in present:
        chosen, warnings = _divide(source.in_split("train"), identities, seed, {"val": VAL_SHARE})
    images = tuple(
        LabelledImage(each.path, each.label, chosen.get(each.path, each.split or "train")) for each in source.images
    )
    if not any(image.split == "val" for image in images):
        raise DataError(f"{source.name!r} is too small to split: every class needs at least three different images")
    return replace(source, images=images, warnings=(*source.warnings, *warnings))


def _divide(
    images: Iterable[LabelledImage], identities: Identities, seed: int, shares: dict[str, float]
) -> tuple[dict[str, str], list[str]]:
    """Choose a share of each class for other splits; what is left for ``train`` is never empty.

    Returns:
        The splits by path, and a line each on images that look alike: those kept together, and those that are not.
    """

    def place_in_queue(group: _Group) -> bytes:
        content = min(identities.content(image.path) for image in group)
        return hashlib.sha256(f"{seed}:{content}".encode()).digest()

    chosen: dict[str, str] = {}
    bursts: list[_Group] = []
    divided: dict[str, tuple[int, int]] = {}
    for label, copies in _copies_by_label(images, identities).items():
        n_images = sum(map(len, copies))
        together, apart = _parted(_families(copies, identities), n_images, len(shares))
        bursts += [_joined(family) for family in together if len(family) > 1]
        if apart:
            divided[label] = sum(len(_joined(family)) for family in apart), n_images
        queue = sorted([*map(_joined, together), *chain(*apart)], key=place_in_queue)
        for name, share in shares.items():
            # At least one, so that small classes are judged too, unless training would be left with nothing.
            taken, queue = _take(queue, max(1, round(share * n_images)))
            chosen.update((image.path, name) for group in taken for image in group)
    return chosen, [*_what_stays_together(bursts), *_what_is_divided(divided, shares)]


def _copies_by_label(images: Iterable[LabelledImage], identities: Identities) -> dict[str, list[_Group]]:
    """Return the images of each label, in groups of those that show the very same."""
    groups: dict[str, _Group] = defaultdict(list)
    for image in images:
        groups[identities.look(image.path)].append(image)
    by_label: dict[str, list[_Group]] = defaultdict(list)
    for group in groups.values():
        # What has two labels cannot be judged by, so training keeps it.
        if len({image.label for image in group}) == 1:
            by_label[group[0].label].append(group)
    return by_label


def _families(copies: Iterable[_Group], identities: Identities) -> list[list[_Group]]:
    """Return groups of copies with those that look like them."""
    # The first by content: what shows the same at the store's size may come from two sizes, and have two hashes.
    of_first = {min(group, key=lambda each: identities.content(each.path)): group for group in copies}
    return [[of_first[first] for first in family] for family in alike(of_first, identities.hash)]


def _parted(
    families: list[list[_Group]], n_images: int, n_others: int
) -> tuple[list[list[_Group]], list[list[_Group]]]:
    """Return the families of a class that can stay on one side, and those that cannot.

    One of more than half of the class cannot: the class would be judged by its odd ones, and where all of it lies on
    one table, a chain of unlike images may be as long (decision 9). None can where they are fewer than the splits.
    """
    too_few = len(families) <= n_others
    together: list[list[_Group]] = []
    apart: list[list[_Group]] = []
    for family in families:
        is_apart = len(family) > 1 and (too_few or 2 * len(_joined(family)) > n_images)
        (apart if is_apart else together).append(family)
    return together, apart


def _joined(family: Iterable[_Group]) -> _Group:
    return list(chain.from_iterable(family))


def _what_stays_together(bursts: list[_Group]) -> list[str]:
    if not bursts:
        return []
    n_groups = "1 group" if len(bursts) == 1 else f"{len(bursts)} groups"
    each = "" if len(bursts) == 1 else " each"
    return [f"kept {n_groups} of images that look alike ({sum(map(len, bursts))} images) on one side{each}"]


def _what_is_divided(divided: dict[str, tuple[int, int]], splits: Collection[str]) -> list[str]:
    if not divided:
        return []
    n_alike, n_images = map(sum, zip(*divided.values(), strict=True))
    names = [name for name in SPLITS if name in splits]
    # All images of a fixed camera, and all radiographs of one view, may look alike too.
    return [
        f"{listed(divided)}: {n_alike} of {n_images} images look alike; if they are frames of a film or the like, "
        f"{' and '.join(names)} {'hold' if len(names) > 1 else 'holds'} images much like learned ones, and the "
        "result will look better than it is: give splits of your own"
    ]


def _take(queue: list[_Group], n_wanted: int) -> tuple[list[_Group], list[_Group]]:
    """Return the first groups that make up as many images, and the others; at least one is left.

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
