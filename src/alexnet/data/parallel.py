"""Many images at a time: on every core, in flat memory, with a word on how far it has come."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from alexnet.data.source import MAX_BYTES, Content, Reader

T = TypeVar("T")


class Track(Protocol):
    """Wraps an iterable to show how many of its items are done."""

    def __call__(self, items: Iterable[T], n_items: int, what: str, /) -> Iterable[T]: ...


def untracked(items: Iterable[T], n_items: int, what: str) -> Iterable[T]:
    """Show nothing."""
    return items


def n_cores() -> int:
    """Return how many cores this process may use, which in a container or a job are fewer than the machine has."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(
    reader: Reader, paths: Iterable[str], work: Callable[[str, Callable[[], Content]], T], n_bytes: int = -1
) -> Iterator[tuple[str, T]]:
    """Yield each path with what ``work`` makes of it and of the function that reads it, in the reader's order.

    That function reads the first ``n_bytes`` only, where given. Files that are being worked on have ``MAX_BYTES``
    together at most; a large one waits for those before it.
    """
    # Pillow and torch let other threads run while they decode and resize, so threads are enough to use every core.
    n_threads = n_cores()
    threads = ThreadPoolExecutor(n_threads)
    under_way: deque[tuple[str, int, Future[T]]] = deque()
    n_bytes_held = 0
    try:
        for path, fetch in reader.each(paths, n_bytes):
            size = reader.size(path) if n_bytes < 0 else n_bytes
            # Few images and few bytes, so that memory stays flat for any number of files of any size.
            while len(under_way) > 2 * n_threads or (under_way and n_bytes_held + size > MAX_BYTES):
                first, n_freed, future = under_way.popleft()
                yield first, future.result()
                n_bytes_held -= n_freed
            under_way.append((path, size, threads.submit(work, path, fetch)))
            n_bytes_held += size
        for path, _, future in under_way:
            yield path, future.result()
    finally:
        threads.shutdown(cancel_futures=True)
