"""Batches for training: cropped images from the store. ``evaluation`` has those for evaluation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.crops import Windows, crop_stored, draw_windows
from alexnet.data.batches.examples import Examples, Integers, Shard
from alexnet.data.batches.threads import in_chunks, prefetch
from alexnet.data.parallel import n_cores
from alexnet.images.preprocessing import to_channels
from alexnet.images.tensors import to_tensor

# Independent streams of random numbers.
_ORDER, _CROPS = 1, 2
# More threads would only wait for one another: cropping takes 0.1 ms an image.
MOST_THREADS = 8


@dataclass(frozen=True)
class Batch:
    """One process's part of a batch.

    Attributes:
        images: ``(N, C, S, S)`` uint8: crops; or whole images of the store, to be cropped on the device.
        labels: class numbers ``(N,)``.
        rows: their positions in the whole batch, ``(N,)``. With mixing, the first may be the image before this
            process's part: it is mixed into its neighbour and then dropped.
        n_extra: how many images are dropped after mixing: 0 or 1.
        n_all: number of images in the whole batch.
        windows: the windows to crop on the device; None for crops.
        size: side to which windows are then resized, in pixels.
    """

    images: Tensor
    labels: Tensor
    rows: Integers
    n_extra: int
    n_all: int
    windows: Windows | None
    size: int

    @property
    def own(self) -> range:
        """The positions in the whole batch of the images that this process trains on."""
        first = int(self.rows[self.n_extra]) if len(self.rows) > self.n_extra else 0
        return range(first, first + len(self.rows) - self.n_extra)


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
    shard: Shard = Shard(),  # noqa: B008 - frozen
    balanced: bool = False,
    on_device: bool = False,
) -> Iterator[Batch]:
    """Yield a process's part of the batches ``start`` to ``stop`` of one epoch, prefetched by a thread.

    Images are cropped and flipped; ``augment.augment_batch`` does the rest on the device, as uint8 is faster to move.
    Unless ``balanced``, every image appears once an epoch. The last batch has the images that are left, unless that is
    a single one. The order depends on (seed, epoch), the crops of a batch on (seed, epoch, step): a resumed epoch
    continues with the same batches.

    Args:
        data: images to train on.
        batch_size: images a step, of all processes together.
        size: side to which windows are resized, in pixels.
        augmentation: how to crop, and whether to flip.
        seed: seeds all randomness, together with ``epoch`` and the step.
        epoch: number of the epoch, from 0.
        start: the first step.
        stop: the step to stop before; None for all.
        shard: the part of each batch to make.
        balanced: draw classes equally often and their images at random, instead of each image once.
        on_device: leave cropping to ``augment_batch``: yield whole images of the store, with their windows.
    """
    order = order_of(data, seed, epoch, balanced=balanced)
    n_steps = count_steps(len(data), batch_size)

    def make() -> Iterator[Batch]:
        with ThreadPoolExecutor(min(MOST_THREADS, n_cores()), "alexnet-crops") as threads:
            for step in range(start, n_steps if stop is None else min(stop, n_steps)):
                chosen = order[step * batch_size : (step + 1) * batch_size]
                randomness = np.random.default_rng((seed, epoch, step, _CROPS))
                windows = draw_windows(len(chosen), data.pixels.shape[1], augmentation, randomness)
                rows, n_extra = _rows(len(chosen), shard, augmentation.mixes)
                own, own_windows = chosen[rows], windows.select(rows)
                if on_device:
                    images = _whole_images(data, own, threads)
                else:
                    cropped = crop_stored(data.pixels, data.rows[own], own_windows, size, threads)
                    data.forget()
                    images = to_tensor(to_channels(cropped, data.n_channels))
                labels = torch.from_numpy(data.labels[own])
                yield Batch(images, labels, rows, n_extra, len(chosen), own_windows if on_device else None, size)

    return prefetch(make(), n_ahead=2)


def _rows(n: int, shard: Shard, mixed: bool) -> tuple[Integers, int]:
    """Return which of ``n`` positions in a batch a process needs, and how many of these only for mixing."""
    part = shard.part(n)
    n_extra = int(mixed and shard.world_size > 1 and len(part) > 0)
    return np.arange(part.start - n_extra, part.stop) % n, n_extra


def order_of(data: Examples, seed: int, epoch: int, *, balanced: bool = False) -> Integers:
    """Return the order of images in an epoch, ``(N,)``; each step takes ``batch_size`` of them.

    A balanced order has classes equally often: images of a small class several times, some of a large one not at all.
    """
    randomness = np.random.default_rng((seed, epoch, 0, _ORDER))
    if not balanced:
        return randomness.permutation(len(data))
    share = 1 / np.bincount(data.labels)[data.labels]
    return randomness.choice(len(data), len(data), p=share / share.sum())


def count_steps(n_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch. A last batch of one image is dropped: batch norm cannot train on it."""
    n_full, left = divmod(n_examples, batch_size)
    return max(1, n_full + (left > 1))


def _whole_images(data: Examples, chosen: Integers, threads: ThreadPoolExecutor) -> Tensor:
    """Return whole images ``(N, C, S, S)`` uint8: from the device if they are there, else from the store."""
    if data.resident is not None:
        return data.resident[torch.from_numpy(chosen).to(data.resident.device)]
    side = data.pixels.shape[1]
    # Only pinned memory is copied to a GPU while the GPU computes.
    tensor = torch.empty(len(chosen), side, side, 3, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
    batch = tensor.numpy()

    def copy(some: range) -> None:
        for i in some:
            batch[i] = data.pixels[data.rows[chosen[i]]]

    in_chunks(copy, len(chosen), threads)
    data.forget()
    return tensor.permute(0, 3, 1, 2) if data.n_channels == 3 else to_tensor(to_channels(batch, data.n_channels))
