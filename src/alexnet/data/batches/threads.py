"""Threads: work in chunks, and batches prefetched."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_chunks(work: Callable[[range], None], n: int, threads: ThreadPoolExecutor) -> None:
    """Work on 16 items at a time: passing single images to threads would take a third of the time of cropping them."""
    for _ in threads.map(work, (range(n)[at : at + 16] for at in range(0, n, 16))):
        pass


def prefetch(batches: Iterator[T], n_ahead: int) -> Iterator[T]:
    """Yield from ``batches``, which a thread makes up to ``n_ahead`` items ahead."""
    ready: queue.Queue[T | Exception | None] = queue.Queue(n_ahead)
    stopped = threading.Event()

    def put(item: T | Exception | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stopped.is_set():
                    return
            put(None)
        except Exception as error:
            put(error)

    thread = threading.Thread(target=work, name="alexnet-batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
