"""Split images into train, val and test: stratified, seeded, the same on every machine. ``record`` saves the result."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import chain
from typing import Protocol

from alexnet.data.duplicates import similar_groups
from alexnet.data.source import SPLITS, LabelledImage, Source, similar_names
from alexnet.errors import DataError, listed, shown

VAL_SHARE = 0.1
TEST_SHARE = 0.1

_Group = list[LabelledImage]


class ImageIndex(Protocol):
    """Digests of images by path, which identify an image under any name; ``Store`` is one."""

    @property
    def rows(self) -> dict[str, int]:
        """The readable images: a number for each path."""
        ...

    def content(self, path: str) -> str:
        """Return the digest of the image's file, or of the image where its source has no files."""
        ...

    def pixel_digest(self, path: str) -> str:
        """Return the digest of the image's pixels, which copies in any file format share."""
        ...

    def burst_hash(self, path: str) -> int | None:
        """Return a 64-bit hash that differs in few bits between similar images; None for small or plain images."""
        ...


def refuse_unlearnable(source: Source) -> None:
    """Refuse data that cannot be trained on, before any image is read.

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
        if similar := similar_names(first.label, learned):
            raise DataError(f"{what}, but train has {listed(similar)}; if they are one class, give them one name")
        raise DataError(f"{what}; add images of it to train, or remove its images, such as {shown(first.path)}")


def split(source: Source, index: ImageIndex, seed: int) -> Source:
    """Assign a split to every readable image; leave out the others.

    Splits of the data itself are kept. Without ``val``, a tenth of each class of ``train`` becomes ``val``. Without any
    split, a tenth of each class becomes ``val`` and a tenth ``test``. The choice depends on the seed and the content of
    the images alone: not on names, on folder or archive, or on the order of listing.

    Copies of one image go to one split, those with different labels to ``train``. Similar images of a class go to one
    split too, unless they are most of the class; warnings say how many, and of which classes.

    Raises:
        DataError: fewer than two classes, no train or val images, or a class without train images.
    """
    source = source.with_images(tuple(each for each in source.images if each.path in index.rows))
    refuse_unlearnable(source)
    present = {image.split for image in source.images}
    chosen: dict[str, str] = {}
    warnings: list[str] = []
    if present == {None}:
        chosen, warnings = _divide(source.images, index, seed, {"test": TEST_SHARE, "val": VAL_SHARE})
    elif "val" not in present:
        chosen, warnings = _divide(source.in_split("train"), index, seed, {"val": VAL_SHARE})
    images = tuple(
        LabelledImage(each.path, each.label, chosen.get(each.path, each.split or "train")) for each in source.images
    )
    if not any(image.split == "val" for image in images):
        raise DataError(f"{source.name!r} is too small to split: every class needs at least three different images")
    return replace(source, images=images, warnings=(*source.warnings, *warnings))


def kept_together(images: Iterable[LabelledImage], index: ImageIndex, n_splits: int) -> dict[str, list[_Group]]:
    """Return the images of each label in groups of copies and of similar images, each of which stays in one split.

    Similar images of a class are divided where they are most of it. Copies under two labels are left out.
    """
    groups: dict[str, list[_Group]] = {}
    for label, copies in _copies_by_label(images, index).items():
        n_images = sum(map(len, copies))
        together, apart = _divide_large(_group_similar(copies, index), n_images, n_splits - 1)
        groups[label] = [*map(_flat, together), *chain(*apart)]
    return groups


def _divide(
    images: Iterable[LabelledImage], index: ImageIndex, seed: int, shares: dict[str, float]
) -> tuple[dict[str, str], list[str]]:
    """Choose a share of each class for other splits; ``train`` keeps at least one image.

    Returns:
        The splits by path, and the warnings on similar images: those kept together, and those divided.
    """

    def order(group: _Group) -> bytes:
        content = min(index.content(image.path) for image in group)
        return hashlib.sha256(f"{seed}:{content}".encode()).digest()

    chosen: dict[str, str] = {}
    bursts: list[_Group] = []
    divided: dict[str, tuple[int, int]] = {}
    for label, copies in _copies_by_label(images, index).items():
        n_images = sum(map(len, copies))
        together, apart = _divide_large(_group_similar(copies, index), n_images, len(shares))
        bursts += [_flat(cluster) for cluster in together if len(cluster) > 1]
        if apart:
            divided[label] = sum(len(_flat(cluster)) for cluster in apart), n_images
        queue = sorted([*map(_flat, together), *chain(*apart)], key=order)
        for name, share in shares.items():
            # At least one, so that small classes are evaluated too, unless train would be empty.
            taken, queue = _take(queue, max(1, round(share * n_images)))
            chosen.update((image.path, name) for group in taken for image in group)
    return chosen, [*_together_warning(bursts), *_divided_warning(divided, shares)]


def _copies_by_label(images: Iterable[LabelledImage], index: ImageIndex) -> dict[str, list[_Group]]:
    """Return the images of each label in groups of copies; copies under two labels are left out."""
    groups: dict[str, _Group] = defaultdict(list)
    for image in images:
        groups[index.pixel_digest(image.path)].append(image)
    by_label: dict[str, list[_Group]] = defaultdict(list)
    for group in groups.values():
        # An image with two labels is of no use for evaluation, so it stays in train.
        if len({image.label for image in group}) == 1:
            by_label[group[0].label].append(group)
    return by_label


def _group_similar(copies: Iterable[_Group], index: ImageIndex) -> list[list[_Group]]:
    """Return the groups of copies in clusters of similar ones."""
    # Copies at the store's size may come from files of two sizes, with two hashes: the first by content decides.
    of_first = {min(group, key=lambda each: index.content(each.path)): group for group in copies}
    return [[of_first[first] for first in cluster] for cluster in similar_groups(of_first, index.burst_hash)]


def _divide_large(
    clusters: list[list[_Group]], n_images: int, n_others: int
) -> tuple[list[list[_Group]], list[list[_Group]]]:
    """Return the clusters of a class that can stay in one split, and those that have to be divided.

    A cluster of more than half of the class is divided: else the class would be evaluated on its odd images, and where
    all were taken on one table, a chain of unlike images may be that long (decision 9). All are divided where there are
    fewer clusters than splits.
    """
    too_few = len(clusters) <= n_others
    together: list[list[_Group]] = []
    apart: list[list[_Group]] = []
    for cluster in clusters:
        is_apart = len(cluster) > 1 and (too_few or 2 * len(_flat(cluster)) > n_images)
        (apart if is_apart else together).append(cluster)
    return together, apart


def _flat(cluster: Iterable[_Group]) -> _Group:
    return list(chain.from_iterable(cluster))


def _together_warning(bursts: list[_Group]) -> list[str]:
    if not bursts:
        return []
    n_groups = "1 group" if len(bursts) == 1 else f"{len(bursts)} groups"
    each = "" if len(bursts) == 1 else " each"
    return [f"kept {n_groups} of images that look alike ({sum(map(len, bursts))} images) in one split{each}"]


def _divided_warning(divided: dict[str, tuple[int, int]], splits: Collection[str]) -> list[str]:
    if not divided:
        return []
    n_alike, n_images = map(sum, zip(*divided.values(), strict=True))
    names = [name for name in SPLITS if name in splits]
    # Images of a fixed camera, or radiographs of one view, may look alike without being frames of a video.
    return [
        f"{listed(divided)}: {n_alike} of {n_images} images look alike; if they are video frames or the like, "
        f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'} images much like those of train, and scores will "
        "be too high: give your own splits"
    ]


def _take(queue: list[_Group], n_wanted: int) -> tuple[list[_Group], list[_Group]]:
    """Return the first groups with ``n_wanted`` images in all, and the other groups; at least one group is left.

    A group larger than the number still wanted is skipped; where all are, the smallest is taken.
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
