"""What is read ahead, what is not, and that it ends."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.parallel import n_cores
from alexnet.errors import ImageError
from alexnet.inference import streaming
from alexnet.inference.streaming import decoded_batches

PIXELS = (np.zeros((1, 1, 3), np.uint8),)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Forty files; ``decode`` below reads no more of them than their number."""
    made = [tmp_path / f"{number:02d}.jpg" for number in range(40)]
    for path in made:
        path.write_bytes(path.stem.encode())
    return made


def decode(content, where):
    return (np.full((1, 1, 3), int(content), np.uint8),)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("as_given", [list, tuple, iter, lambda paths: [paths[0].parent]])
def test_batches_are_full_and_in_order(paths, as_given) -> None:
    batches = list(decoded_batches(as_given(paths), decode, 16))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    found = [(where, pixels[0][0, 0, 0]) for batch in batches for where, pixels in batch]
    assert found == [(str(path), number) for number, path in enumerate(paths)]


def test_an_unreadable_image_has_a_reason_in_its_place(paths) -> None:
    def refuse_odd(content, where):
        if int(content) % 2:
            raise ImageError(where, "odd")
        return PIXELS

    (batch,) = decoded_batches([*paths[:3], "gone.jpg", ImageError("folder", "closed")], refuse_odd, 8)
    assert batch == [
        (str(paths[0]), PIXELS),
        (str(paths[1]), "odd"),
        (str(paths[2]), PIXELS),
        ("gone.jpg", "there is no such file"),
        ("folder", "closed"),
    ]


def test_paths_are_read_ahead_but_no_more_than_a_batch(paths) -> None:
    decoded: list[str] = []

    def count(content, where):
        decoded.append(where)
        return PIXELS

    batches = decoded_batches(paths, count, 8)
    next(batches)
    wait_until(lambda: len(decoded) >= 16)  # while the engine would compute the first
    time.sleep(0.05)
    assert len(decoded) <= 16 + n_cores() + 1, "and the threads are kept busy"
    batches.close()


def test_files_are_read_by_several_threads(paths, monkeypatch) -> None:
    """From a disk in the network, one file after the other takes longer than to decode them."""
    monkeypatch.setattr("alexnet.inference.streaming.n_cores", lambda: 2)
    both = threading.Barrier(2, timeout=60)
    real = streaming.read_content

    def meet(image):
        both.wait()
        return real(image)

    monkeypatch.setattr(streaming, "read_content", meet)
    (batch,) = decoded_batches(paths[:4], decode, 8)
    assert [where for where, _ in batch] == list(map(str, paths[:4]))


def test_few_large_files_are_read_at_a_time(paths, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.inference.streaming.n_cores", lambda: 8)
    monkeypatch.setattr("alexnet.inference.streaming.MAX_BYTES", 2 * paths[0].stat().st_size)
    lock, running, most = threading.Lock(), 0, 0

    def count(content, where):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return PIXELS

    assert sum(len(batch) for batch in decoded_batches(paths, count, 8)) == 40
    assert 1 <= most <= 2


def test_what_a_generator_gives_is_not_read_ahead(paths) -> None:
    taken: list[Path] = []
    threads = set()

    def one_by_one() -> Iterator[Path]:
        for path in paths:
            taken.append(path)
            threads.add(threading.current_thread())
            yield path

    batches = decoded_batches(one_by_one(), decode, 8)
    next(batches)
    time.sleep(0.05)
    assert len(taken) == 8
    assert threads == {threading.current_thread()}, "what it uses may belong to its thread"


def test_images_that_are_no_paths_are_not_read_ahead() -> None:
    """Each is taken when it is needed: its owner may close it when the next one is requested."""
    taken: list[int] = []

    class Images(list[object]):
        def __iter__(self) -> Iterator[bytes]:
            for number in range(40):
                taken.append(number)
                yield str(number).encode()

    next(decoded_batches(Images([b"0"]), decode, 8))
    time.sleep(0.05)
    assert taken == [0, *range(8)], "one to see what they are, and a batch"


def test_an_error_comes_after_the_batches_before_it(paths) -> None:
    def fail_at_20(content, where):
        if int(content) == 20:
            raise RuntimeError("a bug")
        return PIXELS

    batches = decoded_batches(paths, fail_at_20, 8)
    assert [len(next(batches)), len(next(batches))] == [8, 8]
    with pytest.raises(RuntimeError, match="a bug"):
        next(batches)


@pytest.mark.parametrize("is_begun", [True, False])
def test_no_thread_is_left(paths, is_begun) -> None:
    before = threading.active_count()
    batches = decoded_batches(paths, decode, 8)
    if is_begun:
        next(batches)
        assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before
    list(decoded_batches(paths, decode, 8))
    assert threading.active_count() == before
