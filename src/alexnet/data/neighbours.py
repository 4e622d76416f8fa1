"""Exact search for 64-bit hashes at a small Hamming distance.

Hashes that differ in at most ``n`` bits are equal in at least one of ``n + 1`` bands of bits. So where there are many,
only those with an equal band are compared, as a product of matrices of -1 and 1.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

N_BITS = 64
# Distances held in memory at a time: 64 MB.
_MOST_DISTANCES = 1 << 24

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]


def nearest(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[int, int, int]]:
    """Yield for each hash with a near one: its index, the index of the nearest, and how many bits differ.

    Args:
        hashes: ``(N,)``.
        among: the hashes to search, ``(M,)``; of several at the same distance, the first counts.
        most: how many bits may differ.
    """
    if not len(among):
        return
    # Distance and index in one number: the smallest is the nearest, and the first of several.
    best = np.full(len(hashes), (most + 1) * len(among), np.int64)
    for rows, others in _blocks(hashes, among, most):
        distances = _distances(hashes[rows], among[others])
        closest = distances.argmin(axis=1)
        found = distances[np.arange(len(rows)), closest].astype(np.int64) * len(among) + others[closest]
        best[rows] = np.minimum(best[rows], found)
    for row in np.flatnonzero(best < (most + 1) * len(among)):
        distance, index = divmod(int(best[row]), len(among))
        yield int(row), index, distance


def clusters(hashes: Hashes, most: int) -> list[list[int]]:
    """Return the indices of hashes by single-linkage cluster, in order.

    Each hash is near another hash of its cluster, and near no hash of any other cluster. So the frames of a video are
    one cluster, although its first and last frames differ.

    Args:
        hashes: ``(N,)``.
        most: how many bits may differ between near hashes.
    """
    cluster_of = np.arange(len(hashes))
    members = {row: [row] for row in range(len(hashes))}
    for rows, others in _blocks(hashes, hashes, most):
        if (cluster_of[others] == cluster_of[rows[0]]).all():  # joined before, such as a long video
            continue
        near = (_distances(hashes[rows], hashes[others]) <= most) & (cluster_of[rows, None] != cluster_of[others])
        for at in np.flatnonzero(near.any(axis=1)):
            found = others[near[at]]
            for other in found[np.unique(cluster_of[found], return_index=True)[1]]:  # one of each cluster
                # Looked up each time, as the join before may have changed both.
                pair = int(cluster_of[rows[at]]), int(cluster_of[other])
                small, large = sorted(pair, key=lambda one: len(members[one]))
                if small != large:
                    cluster_of[members[small]] = large
                    members[large] += members.pop(small)
    return sorted(sorted(cluster) for cluster in members.values())


def _blocks(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield blocks of indices to compare, of some hashes and some others: every near pair is in at least one."""
    for rows, others in _candidates(hashes, among, most):
        n_rows = max(1, _MOST_DISTANCES // len(others))
        for start in range(0, len(rows), n_rows):
            yield rows[start : start + n_rows], others


def _candidates(hashes: Hashes, among: Hashes, most: int) -> Iterator[tuple[Rows, Rows]]:
    if len(hashes) * len(among) <= _MOST_DISTANCES:
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
    """Return the indices of hashes, in order, by the value of their bits ``low`` to ``high``."""
    band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    order = np.argsort(band, kind="stable")
    values, starts = np.unique(band[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


def _distances(hashes: Hashes, others: Hashes) -> npt.NDArray[np.float32]:
    """Return the Hamming distances ``(N, M)``. Counting the bits of exclusive ors takes as long, and needs numpy 2."""
    distances = _signs(hashes) @ _signs(others).T
    distances -= N_BITS
    distances /= -2
    return distances


def _signs(hashes: Hashes) -> npt.NDArray[np.float32]:
    """Return hashes as ``(N, 64)`` of -1 and 1."""
    octets = hashes.view(np.uint8).reshape(-1, N_BITS // 8)
    return np.unpackbits(octets, axis=1).astype(np.float32) * 2 - 1
