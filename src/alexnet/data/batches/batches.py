"""From the store to what a network takes: cropped batches for training, plain ones for evaluation."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.batches.augment import (
    N_COLOUR_IMAGES,
    Batch,
    Integers,
    Windows,
    draw_windows,
    is_mixed,
    principal_colours,
)
from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.parallel import n_cores
from alexnet.data.source import Source
from alexnet.data.store.store import Store
from alexnet.data.store.verified import Verified
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import resize, to_channels
from alexnet.images.tensors import to_tensor

# Streams of random numbers that have nothing to do with one another.
_ORDER, _CROPS = 1, 2
# More threads than these would only wait for one another: cropping takes 0.1 ms an image.
MOST_THREADS = 8

T = TypeVar("T")


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Examples:
    """The readable images of one split.

    Attributes:
        pixels: all images of a store, ``(M, S, S, 3)`` uint8.
        rows: which of them, ``(N,)``.
        labels: their class numbers, ``(N,)``.
        n_channels: 3 for colour, 1 for luminance.
        names: their paths, ``(N,)``, for what is said about them.
        forget: called after each batch, to let go of the memory in which images have been looked at.
        resident: the images themselves, ``(N, C, S, S)`` uint8, where the device has room to keep them.
    """

    pixels: Pixels | Verified
    rows: Integers
    labels: Integers
    n_channels: int = 3
    names: tuple[str, ...] = ()
    forget: Callable[[], None] = _nothing
    resident: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def colours(self) -> Tensor:
        """Return the principal components of their colours, ``(3, 3)``; of a sample, where there are many."""
        sample = self.rows[:: -(-len(self.rows) // N_COLOUR_IMAGES)]
        return principal_colours(self.pixels[sample])

    def part(self, shard: "Shard") -> "Examples":
        """Return a process's part of them."""
        part = shard.part(len(self))
        some = slice(part.start, part.stop)
        return replace(self, rows=self.rows[some], labels=self.labels[some], names=self.names[some], resident=None)

    def on(self, device: torch.device) -> "Examples":
        """Return them with their images kept on a device."""
        side = self.pixels.shape[1]
        kept = torch.empty(len(self), side, side, self.n_channels, dtype=torch.uint8, device=device)
        for start in range(0, len(self), 1024):  # the whole of it may be larger than this machine's own memory
            some = slice(start, start + 1024)
            kept[some] = torch.from_numpy(to_channels(self.pixels[self.rows[some]], self.n_channels))
            self.forget()
        return replace(self, resident=kept.permute(0, 3, 1, 2))

    @property
    def n_bytes(self) -> int:
        """Bytes that their images take."""
        return len(self) * self.n_channels * int(self.pixels.shape[1]) ** 2


def examples(
    store: Store, source: Source, split: str | None, classes: tuple[str, ...], n_channels: int = 3
) -> Examples:
    """Select one split of a source (or all of it), labelled by position in ``classes``."""
    number = {label: position for position, label in enumerate(classes)}
    chosen = [image for image in source.images if image.path in store.rows and (split is None or image.split == split)]
    rows = np.array([store.rows[image.path] for image in chosen], dtype=np.int64)
    labels = np.array([number[image.label] for image in chosen], dtype=np.int64)
    names = tuple(image.path for image in chosen)
    return Examples(store.pixels, rows, labels, n_channels, names, store.forget)


@dataclass(frozen=True)
class Shard:
    """Which part of every batch a process works on: the ``rank``-th of ``world_size`` nearly equal ones."""

    rank: int = 0
    world_size: int = 1

    def part(self, n: int) -> range:
        """Return which of ``n`` things in a row are this process's."""
        return range(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)


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
    shard: Shard = Shard(),
    balanced: bool = False,
    on_device: bool = False,
) -> Iterator[Batch]:
    """Yield a process's part of steps ``start`` to ``stop`` of one epoch, the next ones made while the caller computes.

    They are cropped and mirrored; ``augment.augment_batch`` does the rest on the device, to which bytes travel faster.
    Unless they are balanced, every image appears once an epoch; the last batch holds what is left, unless that is a
    single one. The order follows from (seed, epoch) and each batch's crops from (seed, epoch, step), so a resumed epoch
    goes on with the very images it would have had.

    Args:
        data: images to learn from.
        batch_size: images a step, of all processes together.
        size: side to which windows are resized, in pixels.
        augmentation: which windows, and whether they are mirrored.
        seed: what all randomness follows from, with ``epoch`` and the step.
        epoch: number of the epoch, from 0.
        start: its first step.
        stop: the step to stop before; none for all.
        shard: which part of each batch to make.
        balanced: draw classes equally often, their images at random, instead of each image once.
        on_device: leave cropping to ``augment_batch``; whole images of the store are yielded with their windows.
    """
    order = order_of(data, seed, epoch, balanced=balanced)
    n_steps = count_steps(len(data), batch_size)

    def make() -> Iterator[Batch]:
        with ThreadPoolExecutor(min(MOST_THREADS, n_cores()), "alexnet-crops") as threads:
            for step in range(start, n_steps if stop is None else min(stop, n_steps)):
                chosen = order[step * batch_size : (step + 1) * batch_size]
                randomness = np.random.default_rng((seed, epoch, step, _CROPS))
                windows = draw_windows(len(chosen), data.pixels.shape[1], augmentation, randomness)
                rows, n_extra = _rows(len(chosen), shard, is_mixed(augmentation))
                some, cuts = chosen[rows], windows.of(rows)
                if on_device:
                    images = _gather(data, some, threads)
                else:
                    images = _crop(data, data.rows[some], cuts, size, threads)
                labels = torch.from_numpy(data.labels[some])
                yield Batch(images, labels, rows, n_extra, len(chosen), cuts if on_device else None, size)

    return _ahead(make(), n_ahead=2)


def _rows(n: int, shard: Shard, mixed: bool) -> tuple[Integers, int]:
    """Return which rows of a batch of ``n`` a process needs, and how many of them only to mix into its own."""
    part = shard.part(n)
    n_extra = int(mixed and shard.world_size > 1 and len(part) > 0)
    return np.arange(part.start - n_extra, part.stop) % n, n_extra


def order_of(data: Examples, seed: int, epoch: int, *, balanced: bool = False) -> Integers:
    """Return the order in which an epoch sees its images, ``(N,)``: ``batch_size`` of them a step.

    A balanced one sees classes equally often: images of a small class several times, some of a large one not at all.
    """
    randomness = np.random.default_rng((seed, epoch, 0, _ORDER))
    if not balanced:
        return randomness.permutation(len(data))
    share = 1 / np.bincount(data.labels)[data.labels]
    return randomness.choice(len(data), len(data), p=share / share.sum())


def count_steps(n_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch. A last batch of one is left out: batch norm cannot learn from one image."""
    n_full, left = divmod(n_examples, batch_size)
    return max(1, n_full + (left > 1))


def evaluation_batches(data: Examples, *, batch_size: int, size: int) -> Iterator[Pixels]:
    """Yield every image once, in order and whole: ``(N, size, size, C)`` uint8."""

    def make() -> Iterator[Pixels]:
        for start in range(0, len(data), batch_size):
            stored = (data.pixels[row] for row in data.rows[start : start + batch_size])
            yield to_channels(np.stack([resize(pixels, size, size) for pixels in stored]), data.n_channels)
            data.forget()

    return _ahead(make(), n_ahead=2)


def _crop(data: Examples, rows: Integers, windows: Windows, size: int, threads: ThreadPoolExecutor) -> Tensor:
    """Cut a window out of each image and resize it, antialiased, straight from the store.

    Measured on two cores, 256 to 224 px: 0.06 ms an image; with Pillow 0.2 ms.
    """
    pixels = data.pixels
    batch = np.empty((len(rows), size, size, 3), dtype=np.uint8)

    def crop(some: range) -> None:
        for i in some:
            row, top, left = rows[i], windows.tops[i], windows.lefts[i]
            # A slice of one row, since torch takes an image with an axis added for planes, and is five times slower.
            image = pixels[row : row + 1]
            window = image[:, top : top + windows.heights[i], left : left + windows.widths[i]]
            cropped = F.interpolate(to_tensor(window), (size, size), mode="bilinear", antialias=True)
            # torch mirrors whole lines at once; numpy, pixel by pixel, takes ten times as long.
            upright = cropped.flip(-1) if windows.mirrored[i] else cropped
            batch[i] = upright[0].permute(1, 2, 0).numpy()

    _in_chunks(crop, len(rows), threads)
    data.forget()
    return to_tensor(to_channels(batch, data.n_channels))


def _gather(data: Examples, chosen: Integers, threads: ThreadPoolExecutor) -> Tensor:
    """Return whole images of the store, ``(N, C, S, S)``: from the device if it holds them, else to be moved."""
    if data.resident is not None:
        return data.resident[torch.from_numpy(chosen).to(data.resident.device)]
    side = data.pixels.shape[1]
    # Only memory that is pinned is copied to a GPU while that computes.
    tensor = torch.empty(len(chosen), side, side, 3, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
    batch = tensor.numpy()

    def copy(some: range) -> None:
        for i in some:
            batch[i] = data.pixels[data.rows[chosen[i]]]

    _in_chunks(copy, len(chosen), threads)
    data.forget()
    return tensor.permute(0, 3, 1, 2) if data.n_channels == 3 else to_tensor(to_channels(batch, data.n_channels))


def _in_chunks(work: Callable[[range], None], n: int, threads: ThreadPoolExecutor) -> None:
    """Do some at a time: handing over a single image would take a third of the time of cropping it."""
    for _ in threads.map(work, (range(n)[at : at + 16] for at in range(0, n, 16))):
        pass


def _ahead(batches: Iterator[T], n_ahead: int) -> Iterator[T]:
    """Yield from ``batches``, made by a thread that stays up to ``n_ahead`` of them ahead."""
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
