import numpy as np
import pytest

from alexnet.data import neighbours
from alexnet.data.neighbours import clusters, nearest


def some_hashes(n: int, seed: int) -> np.ndarray:
    """Return hashes, many of them a few bits from another, and in chains."""
    rng = np.random.default_rng(seed)
    hashes = [int(rng.integers(0, 2**64, dtype=np.uint64))]
    while len(hashes) < n:
        start = hashes[int(rng.integers(len(hashes)))] if rng.random() < 0.6 else int(rng.integers(2**63))
        bits = rng.choice(64, int(rng.integers(0, 12)), replace=False)
        hashes.append(start ^ sum(1 << int(bit) for bit in bits))
    return np.array(hashes, np.uint64)


def distance(one: np.uint64, other: np.uint64) -> int:
    return (int(one) ^ int(other)).bit_count()


def brute_clusters(hashes: np.ndarray, most: int) -> list[list[int]]:
    left, found = set(range(len(hashes))), []
    while left:
        cluster, new = set(), {min(left)}
        while new:
            cluster |= new
            new = {j for i in new for j in left - cluster if distance(hashes[i], hashes[j]) <= most}
        left -= cluster
        found.append(sorted(cluster))
    return found


@pytest.fixture(params=[1 << 24, 5000, 100])
def _blocks(monkeypatch, request) -> None:
    """All pairs at once; those with an equal band; and those in small blocks."""
    monkeypatch.setattr(neighbours, "_MOST_DISTANCES", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("most", [3, 6])
def test_clusters_are_those_of_all_pairs(most) -> None:
    hashes = some_hashes(300, seed=most)
    found = clusters(hashes, most)
    assert found == brute_clusters(hashes, most)
    assert max(map(len, found)) > 3, "chains, else there is nothing to find"


@pytest.mark.parametrize("seed", range(20))
def test_dense_hashes_are_joined_in_any_order(seed) -> None:
    """Two near hashes may have been joined before, through others."""
    rng = np.random.default_rng(seed)
    hashes = (rng.random((60, 20)) < 0.35) @ (np.uint64(1) << np.arange(20, dtype=np.uint64))
    for most in (3, 4):
        assert clusters(hashes, most) == brute_clusters(hashes, most)


@pytest.mark.usefixtures("_blocks")
def test_the_nearest_is_that_of_all_pairs() -> None:
    hashes, among = some_hashes(200, 1), some_hashes(250, 2)
    among[:100:3] = hashes[5:39] ^ np.uint64(0b10110)
    among[1:100:3] = among[:99:3]  # the first of two counts
    expected = []
    for i, each in enumerate(hashes):
        distances = [distance(each, other) for other in among]
        if min(distances) <= 6:
            expected.append((i, distances.index(min(distances)), min(distances)))
    assert list(nearest(hashes, among, 6)) == expected
    assert len(expected) >= 34


def test_an_empty_set_has_no_neighbours() -> None:
    none, some = np.array([], np.uint64), some_hashes(3, 0)
    assert clusters(none, 6) == list(nearest(none, some, 6)) == list(nearest(some, none, 6)) == []
