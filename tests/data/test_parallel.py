import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from alexnet.data.parallel import in_threads, n_cores
from alexnet.data.source import MAX_BYTES


@dataclass
class Files:
    """A reader that records the most bytes in work at the same time."""

    sizes: dict[str, int]
    in_work: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stamp(self, path: str) -> str:
        return ""

    def size(self, path: str) -> int:
        return self.sizes[path]

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for path in paths:
            yield path, lambda: b""

    def work(self, path: str, fetch: Callable[[], bytes]) -> str:
        with self.lock:
            self.in_work += self.sizes[path]
            self.most = max(self.most, self.in_work)
        threading.Event().wait(0.005)
        with self.lock:
            self.in_work -= self.sizes[path]
        return path.upper()


def test_large_files_wait_for_one_another() -> None:
    """Each of 40 members of an archive may have a gigabyte; all at once would fill any memory."""
    files = Files({f"file {number}": MAX_BYTES * 2 // 5 for number in range(40)})
    done = list(in_threads(files, files.sizes, files.work))
    assert done == [(path, path.upper()) for path in files.sizes]
    assert files.most <= MAX_BYTES


def test_a_file_above_the_limit_is_read_alone() -> None:
    files = Files({"small": 10, "huge": 3 * MAX_BYTES, "also small": 10})
    assert [path for path, _ in in_threads(files, files.sizes, files.work)] == ["small", "huge", "also small"]
    assert files.most == 3 * MAX_BYTES


def test_where_only_beginnings_are_read_only_those_count() -> None:
    files = Files({f"video {number}": 5 * MAX_BYTES for number in range(8)})
    taken = in_threads(files, files.sizes, lambda path, fetch: path, 1 << 16)
    assert [path for path, _ in taken] == list(files.sizes)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux gives a process some of the cores")
def test_cores_are_those_that_this_process_may_use() -> None:
    all_of_them = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(all_of_them)})
        assert n_cores() == 1
    finally:
        os.sched_setaffinity(0, all_of_them)
    assert n_cores() == len(all_of_them)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python knows by itself")
def test_elsewhere_all_cores_count(monkeypatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert n_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert n_cores() == 1
