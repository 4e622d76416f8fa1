"""From the store to what a network takes: augmented batches for training, plain ones for evaluation."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.augment import N_COLOUR_PICTURES, Integers, draw_windows, principal_colours
from alexnet.data.augmentation import Augmentation
from alexnet.data.image import Pixels
from alexnet.data.preprocessing import to_channels
from alexnet.data.source import Source
from alexnet.data.store import Store
from alexnet.data.tensors import resized, to_tensor

# Streams of random numbers that have nothing to do with one another.
_ORDER, _CROPS = 1, 2
# More threads than these would only wait for one another: cropping takes 0.1 ms a picture.
MOST_THREADS = 8

Batch = TypeVar("Batch")


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Examples:
    """The readable pictures of one split.

    Attributes:
        pixels: all pictures of a store, ``(M, S, S, 3)`` uint8.
        rows: which of them, ``(N,)``.
        labels: their class numbers, ``(N,)``.
        n_channels: 3 for colour, 1 for luminance.
        names: their paths, ``(N,)``, for what is said about them.
        forget: called after each batch, to let go of the memory in which pictures have been looked at.
    """

    pixels: Pixels
    rows: Integers
    labels: Integers
    n_channels: int = 3
    names: tuple[str, ...] = ()
    forget: Callable[[], None] = _nothing

    def __len__(self) -> int:
        return len(self.rows)

    def colours(self) -> Tensor:
        """Return the principal components of their colours, ``(3, 3)``; of a sample, where there are many."""
        sample = self.rows[:: -(-len(self.rows) // N_COLOUR_PICTURES)]
        return principal_colours(self.pixels[sample])


def examples(
    store: Store, source: Source, split: str | None, classes: tuple[str, ...], n_channels: int = 3
) -> Examples:
    """Select one split of a source (or all of it), labelled by position in ``classes``."""
    number = {label: position for position, label in enumerate(classes)}
    chosen = [
        picture
        for picture in source.pictures
        if picture.path in store.rows and (split is None or picture.split == split)
    ]
    rows = np.array([store.rows[picture.path] for picture in chosen], dtype=np.int64)
    labels = np.array([number[picture.label] for picture in chosen], dtype=np.int64)
    names = tuple(picture.path for picture in chosen)
    return Examples(store.pixels, rows, labels, n_channels, names, store.forget)


def training_batches(
    data: Examples,
    *,
    batch_size: int,
    size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield steps ``start`` to ``stop`` of one epoch: pictures ``(N, C, size, size)`` uint8 and labels ``(N,)``.

    They are cropped and mirrored; ``augment.vary`` does the rest on the device, to which bytes travel faster.
    Every picture appears once an epoch; the last batch holds what is left, unless that is a single one. The order
    follows from (seed, epoch) and each batch's crops from (seed, epoch, step), so a resumed epoch goes on with the very
    pictures it would have had. The next batches are made by threads while the caller computes.
    """
    order = order_of(data, seed, epoch)
    n_steps = count_steps(len(data), batch_size)

    def make() -> Iterator[tuple[Tensor, Tensor]]:
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "alexnet-crops") as threads:
            for step in range(start, n_steps if stop is None else min(stop, n_steps)):
                chosen = order[step * batch_size : (step + 1) * batch_size]
                randomness = np.random.default_rng((seed, epoch, step, _CROPS))
                pictures = _crop(data, data.rows[chosen], size, augmentation, randomness, threads)
                yield pictures, torch.from_numpy(data.labels[chosen])

    return _ahead(make(), n_ahead=2)


def order_of(data: Examples, seed: int, epoch: int) -> Integers:
    """Return the order in which an epoch sees its pictures, ``(N,)``: ``batch_size`` of them a step."""
    return np.random.default_rng((seed, epoch, 0, _ORDER)).permutation(len(data))


def count_steps(n_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch. A last batch of one is left out: batch norm cannot learn from one picture."""
    n_full, left = divmod(n_examples, batch_size)
    return max(1, n_full + (left > 1))


def evaluation_batches(data: Examples, *, batch_size: int, size: int) -> Iterator[Pixels]:
    """Yield every picture once, in order and whole: ``(N, size, size, C)`` uint8."""

    def make() -> Iterator[Pixels]:
        for start in range(0, len(data), batch_size):
            stored = (data.pixels[row] for row in data.rows[start : start + batch_size])
            yield to_channels(np.stack([resized(pixels, size, size) for pixels in stored]), data.n_channels)
            data.forget()

    return _ahead(make(), n_ahead=2)


def _crop(
    data: Examples,
    rows: Integers,
    size: int,
    how: Augmentation,
    randomness: np.random.Generator,
    threads: ThreadPoolExecutor,
) -> Tensor:
    """Cut a window out of each picture and resize it, antialiased, straight from the store.

    Measured on two cores, 256 to 224 px: 0.06 ms a picture; with Pillow 0.2 ms.
    """
    pixels = data.pixels
    windows = draw_windows(len(rows), pixels.shape[1], how, randomness)
    batch = np.empty((len(rows), size, size, 3), dtype=np.uint8)

    def crop(some: range) -> None:
        for i in some:
            row, top, left = rows[i], windows.tops[i], windows.lefts[i]
            # A slice of one row, since torch takes a picture with an axis added for planes, and is five times slower.
            window = pixels[row : row + 1, top : top + windows.heights[i], left : left + windows.widths[i]]
            cropped = F.interpolate(to_tensor(window), (size, size), mode="bilinear", antialias=True)
            # torch mirrors whole lines at once; numpy, pixel by pixel, takes ten times as long.
            upright = cropped.flip(-1) if windows.mirrored[i] else cropped
            batch[i] = upright[0].permute(1, 2, 0).numpy()

    # Some at a time: handing over a single picture would take a third of the time of cropping it.
    for _ in threads.map(crop, (range(len(rows))[at : at + 16] for at in range(0, len(rows), 16))):
        pass
    data.forget()
    return to_tensor(to_channels(batch, data.n_channels))


def _ahead(batches: Iterator[Batch], n_ahead: int) -> Iterator[Batch]:
    """Yield from ``batches``, made by a thread that stays up to ``n_ahead`` of them ahead."""
    ready: queue.Queue[Batch | Exception | None] = queue.Queue(n_ahead)
    stopped = threading.Event()

    def put(item: Batch | Exception | None) -> None:
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
