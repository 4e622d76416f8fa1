"""Hashes of 64 bits that differ in few of them, found exactly among many.

Hashes that differ in at most ``n`` bits agree in at least one of ``n + 1`` bands of bits. So where there are many, only
those that agree in a band are compared, as a product of matrices of -1 and 1.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

N_BITS = 64
# Of the scores of one hash with another that are held at a time, 64 MB.
_MOST_SCORES = 1 << 24

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]


def nearest(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[int, int, int]]:
    """Yield the index of each hash that has another near it, the index of the nearest, and how many bits differ.

    Args:
        hashes: ``(N,)``.
        among: ``(M,)``; of several at the same distance, the first counts.
        most: bits that may differ.
    """
    if not len(among):
        return
    # Distance and index in one number, so that the smallest is the nearest and the first of its like.
    best = np.full(len(hashes), (most + 1) * len(among), np.int64)
    for rows, others in _meetings(hashes, among, most):
        distances = _distances(hashes[rows], among[others])
        closest = distances.argmin(axis=1)
        found = distances[np.arange(len(rows)), closest].astype(np.int64) * len(among) + others[closest]
        best[rows] = np.minimum(best[rows], found)
    for row in np.flatnonzero(best < (most + 1) * len(among)):
        distance, index = divmod(int(best[row]), len(among))
        yield int(row), index, distance


def families(hashes: Hashes, most: int) -> list[list[int]]:
    """Return the indices of hashes by family, in order: each is near another of its family, and near none of another.

    So the frames of a film are one family, although its ends differ (single linkage).

    Args:
        hashes: ``(N,)``.
        most: bits that may differ between near ones.
    """
    owner = np.arange(len(hashes))
    members = {row: [row] for row in range(len(hashes))}
    for rows, others in _meetings(hashes, hashes, most):
        if (owner[others] == owner[rows[0]]).all():  # a long film has been found before
            continue
        near = (_distances(hashes[rows], hashes[others]) <= most) & (owner[rows, None] != owner[others])
        for at in np.flatnonzero(near.any(axis=1)):
            found = others[near[at]]
            for other in found[np.unique(owner[found], return_index=True)[1]]:  # one of each family
                # Asked for each time: what was joined a moment ago has another owner.
                small, large = sorted((int(owner[rows[at]]), int(owner[other])), key=lambda one: len(members[one]))
                if small != large:
                    owner[members[small]] = large
                    members[large] += members.pop(small)
    return sorted(sorted(family) for family in members.values())


def _meetings(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield indices of some hashes and of some others: any two that are near meet at least once."""
    for rows, others in _agreeing(hashes, among, most):
        n_rows = max(1, _MOST_SCORES // len(others))
        for start in range(0, len(rows), n_rows):
            yield rows[start : start + n_rows], others


def _agreeing(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[Rows, Rows]]:
    if len(hashes) * len(among) <= _MOST_SCORES:
        if len(hashes) and len(among):
            yield np.arange(len(hashes)), np.arange(len(among))
        return
    edges = np.linspace(0, N_BITS, most + 2).astype(int).tolist()
    for low, high in pairwise(edges):
        theirs = _by_band(among, low, high)
        for value, rows in _by_band(hashes, low, high).items():
            if value in theirs:
                yield rows, theirs[value]


def _by_band(hashes: Hashes, low: int, high: int) -> dict[int, Rows]:
    """Return the indices of hashes, in order, by what their bits ``low`` to ``high`` are."""
    band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    order = np.argsort(band, kind="stable")
    values, starts = np.unique(band[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


def _distances(hashes: Hashes, others: Hashes) -> npt.NDArray[np.float32]:
    """Return in how many bits hashes differ, ``(N, M)``; counting those of exclusive ors takes as long, and numpy 2."""
    distances = _signs(hashes) @ _signs(others).T
    distances -= N_BITS
    distances /= -2
    return distances


def _signs(hashes: Hashes) -> npt.NDArray[np.float32]:
    """Return hashes as ``(N, 64)`` of -1 and 1."""
    octets = hashes.view(np.uint8).reshape(-1, N_BITS // 8)
    return np.unpackbits(octets, axis=1).astype(np.float32) * 2 - 1
