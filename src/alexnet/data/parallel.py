"""Work on many images in parallel: on every core, in bounded memory, with progress."""

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
    """Return how many cores this process may use; in a container or a job the machine may have more."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(
    reader: Reader, paths: Iterable[str], work: Callable[[str, Callable[[], Content]], T], n_bytes: int = -1
) -> Iterator[tuple[str, T]]:
    """Yield each path with the result of ``work(path, fetch)``, in the reader's order.

    ``fetch`` reads the file, or its first ``n_bytes`` where given. Files in work have ``MAX_BYTES`` at most, all
    together; a large file waits for those before it.
    """
    # Pillow and torch release the GIL while they decode and resize, so threads are enough to use every core.
    n_threads = n_cores()
    threads = ThreadPoolExecutor(n_threads)
    in_work: deque[tuple[str, int, Future[T]]] = deque()
    n_bytes_in_work = 0
    try:
        for path, fetch in reader.each(paths, n_bytes):
            size = reader.size(path) if n_bytes < 0 else n_bytes
            # Few images and few bytes at a time: memory stays flat for any number of files of any size.
            while len(in_work) > 2 * n_threads or (in_work and n_bytes_in_work + size > MAX_BYTES):
                first, n_freed, future = in_work.popleft()
                yield first, future.result()
                n_bytes_in_work -= n_freed
            in_work.append((path, size, threads.submit(work, path, fetch)))
            n_bytes_in_work += size
        for path, _, future in in_work:
            yield path, future.result()
    finally:
        threads.shutdown(cancel_futures=True)
