"""From the store to what a network takes: augmented batches for training, plain ones for evaluation."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.image import MEAN, STD, Pixels, squash
from alexnet.data.source import Source
from alexnet.data.store import Store

# Streams of random numbers that have nothing to do with one another.
_ORDER, _CROPS = 1, 2

Integers = npt.NDArray[np.int64]
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Examples:
    """The readable pictures of one split: rows of a store and class numbers, both ``(N,)``."""

    pixels: Pixels
    rows: Integers
    labels: Integers

    def __len__(self) -> int:
        return len(self.rows)


def examples(store: Store, source: Source, split: str | None, classes: tuple[str, ...]) -> Examples:
    """Select one split of a source (or all of it), labelled by position in ``classes``."""
    number = {label: position for position, label in enumerate(classes)}
    wanted = [
        (store.rows[picture.path], number[picture.label])
        for picture in source.pictures
        if picture.path in store.rows and (split is None or picture.split == split)
    ]
    rows, labels = np.array(wanted, dtype=np.int64).reshape(-1, 2).T
    return Examples(store.pixels, rows, labels)


@dataclass(frozen=True)
class Augmentation:
    """Random resized crop and horizontal flip.

    Departure: the paper (section 4.1) crops 224 px of 256 without resizing; on small sets, crops of varied area do
    better.
    """

    area: tuple[float, float]
    """Smallest and largest area of a crop, as shares of the picture."""
    aspect: float
    """Crops are up to this many times wider than high, or higher than wide."""
    flip: bool
    """Whether half of the pictures are mirrored."""


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
    """Yield steps ``start`` to ``stop`` of one epoch: pictures ``(N, 3, size, size)`` uint8 and labels ``(N,)``.

    Every picture appears once an epoch; the last batch holds what is left, unless that is a single one. The order
    follows from (seed, epoch) and each batch's crops from (seed, epoch, step), so a resumed epoch goes on with the very
    pictures it would have had. The next batches are made by a thread while the caller computes.
    """
    order = np.random.default_rng((seed, epoch, 0, _ORDER)).permutation(len(data))
    n_steps = count_steps(len(data), batch_size)

    def make() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(start, n_steps if stop is None else min(stop, n_steps)):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            randomness = np.random.default_rng((seed, epoch, step, _CROPS))
            pictures = _crop(data.pixels, data.rows[chosen], size, augmentation, randomness)
            yield pictures, torch.from_numpy(data.labels[chosen])

    return _ahead(make(), n_ahead=2)


def count_steps(n_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch. A last batch of one is left out: batch norm cannot learn from one picture."""
    n_full, left = divmod(n_examples, batch_size)
    return max(1, n_full + (left > 1))


def evaluation_batches(data: Examples, *, batch_size: int, size: int) -> Iterator[Pixels]:
    """Yield every picture once, in order and whole: ``(N, size, size, 3)`` uint8."""

    def make() -> Iterator[Pixels]:
        for start in range(0, len(data), batch_size):
            yield np.stack([squash(data.pixels[row], size) for row in data.rows[start : start + batch_size]])

    return _ahead(make(), n_ahead=2)


def to_tensor(pixels: Pixels) -> Tensor:
    """Return ``(N, H, W, 3)`` pixels as a tensor ``(N, 3, H, W)`` over the same memory, channels last."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def normalise(pictures: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD) -> Tensor:
    """Return uint8 ``(N, C, H, W)`` as floats with about zero mean and unit spread, in the autocast type if one is on.

    Integers up to 255 are exact in bfloat16, and half the bytes move.
    """
    device = pictures.device
    on = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if on else torch.float32
    centre = torch.tensor(mean, device=device).mul(255).view(1, -1, 1, 1)
    spread = torch.tensor(std, device=device).mul(255).view(1, -1, 1, 1)
    return pictures.to(dtype).sub_(centre.to(dtype)).mul_((1 / spread).to(dtype))


def _crop(pixels: Pixels, rows: Integers, size: int, how: Augmentation, randomness: np.random.Generator) -> Tensor:
    """Cut a window out of each picture and resize it, antialiased.

    Measured on one core, 256 to 128 px: 0.17 ms a picture this way, 0.49 ms with Pillow, 0.54 ms in floats.
    """
    side = pixels.shape[1]
    n = len(rows)
    area = randomness.uniform(*how.area, n) * side**2
    log_aspect = randomness.uniform(-np.log(how.aspect), np.log(how.aspect), n)
    widths = np.clip(np.sqrt(area * np.exp(log_aspect)).round().astype(int), 1, side)
    heights = np.clip(np.sqrt(area * np.exp(-log_aspect)).round().astype(int), 1, side)
    lefts = randomness.integers(0, side - widths + 1)
    tops = randomness.integers(0, side - heights + 1)
    mirrored = randomness.random(n) < 0.5 if how.flip else np.zeros(n, dtype=bool)

    batch = np.empty((n, size, size, 3), dtype=np.uint8)
    for i, row in enumerate(rows):
        window = np.array(pixels[row, tops[i] : tops[i] + heights[i], lefts[i] : lefts[i] + widths[i]])
        resized = F.interpolate(to_tensor(window[None]), (size, size), mode="bilinear", antialias=True)
        upright = resized[0].permute(1, 2, 0).numpy()
        batch[i] = upright[:, ::-1] if mirrored[i] else upright
    return to_tensor(batch)


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
