"""Random crops of training images: drawn for a whole batch, then cut out and resized on the CPU or on the device."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.batches.augmentation import PAPER_SHARE, Augmentation
from alexnet.data.batches.examples import Images, Integers
from alexnet.data.batches.threads import in_chunks
from alexnet.images.decoding import Pixels
from alexnet.images.tensors import to_tensor


@dataclass(frozen=True)
class Windows:
    """The crop windows of a batch, in pixels of the store, ``(N,)`` each; ``mirrored`` crops are flipped."""

    tops: Integers
    lefts: Integers
    heights: Integers
    widths: Integers
    mirrored: npt.NDArray[np.bool_]

    def select(self, rows: Integers) -> "Windows":
        """Return the windows of some images."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_windows(n: int, side: int, how: Augmentation, randomness: np.random.Generator) -> Windows:
    """Draw a random window for each of ``n`` images of ``side`` pixels, or for each ``how.n_alike`` in a row."""
    if how.n_alike > 1:
        drawn = draw_windows(-(-n // how.n_alike), side, replace(how, n_alike=1), randomness)
        return drawn.select(np.arange(n) // how.n_alike)
    if how.crop == "whole":
        heights = widths = np.full(n, side)
    elif how.crop == "paper":
        heights = widths = np.full(n, paper_side(side))
    else:
        area = randomness.uniform(*how.area, n) * side**2
        log_aspect = randomness.uniform(-np.log(how.aspect), np.log(how.aspect), n)
        widths = np.clip(np.sqrt(area * np.exp(log_aspect)).round().astype(int), 1, side)
        heights = np.clip(np.sqrt(area * np.exp(-log_aspect)).round().astype(int), 1, side)
    lefts = randomness.integers(0, side - widths + 1)
    tops = randomness.integers(0, side - heights + 1)
    mirrored = randomness.random(n) < 0.5 if how.flip else np.zeros(n, dtype=bool)
    return Windows(tops, lefts, heights, widths, mirrored)


def paper_side(side: int) -> int:
    """Return the side of the paper's crops of images of ``side`` pixels: 224 of 256."""
    return max(1, round(side * PAPER_SHARE))


def crop_stored(images: Images, rows: Integers, windows: Windows, size: int, threads: ThreadPoolExecutor) -> Pixels:
    """Crop each image straight from the store and resize the crop, antialiased: ``(N, size, size, 3)`` uint8.

    Measured on two cores, 256 to 224 px: 0.06 ms an image; with Pillow 0.2 ms.
    """
    batch = np.empty((len(rows), size, size, 3), dtype=np.uint8)

    def crop(some: range) -> None:
        for i in some:
            row, top, left = rows[i], windows.tops[i], windows.lefts[i]
            # A slice of one row: torch would take an image with an added axis for planes, and be five times slower.
            image = images[row : row + 1]
            window = image[:, top : top + windows.heights[i], left : left + windows.widths[i]]
            cropped = F.interpolate(to_tensor(window), (size, size), mode="bilinear", antialias=True)
            # torch flips whole lines at once; numpy goes pixel by pixel, and takes ten times as long.
            flipped = cropped.flip(-1) if windows.mirrored[i] else cropped
            batch[i] = flipped[0].permute(1, 2, 0).numpy()

    in_chunks(crop, len(rows), threads)
    return batch


def crop_on_device(images: Tensor, windows: Windows, size: int) -> Tensor:
    """Crop ``(N, C, S, S)`` uint8 and resize the crops to ``(N, C, size, size)``, antialiased, on any device.

    Resizing is two matrix products, one along each side, which a GPU does best: at 224 px 0.08 G multiply-adds an
    image; a training step of the reference network takes 3. The result is rounded once, where ``crop_stored`` rounds
    after each side, so the two differ by one level of 255 at most.
    """
    (n, channels, side, _), device = images.shape, images.device
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    numbers = (windows.tops, windows.heights, windows.lefts, windows.widths, windows.mirrored)
    tops, heights, lefts, widths, mirrored = (torch.from_numpy(each).to(device) for each in numbers)
    down = _resize_weights(tops, heights, side, size).to(dtype)
    across = _resize_weights(lefts, widths, side, size).to(dtype)
    across = torch.where(mirrored[:, None, None], across.flip(1), across)
    lines = images.permute(0, 2, 3, 1).reshape(n, side, side * channels).to(dtype)
    # Not in bfloat16: its weights would be off by a two-hundredth, which is a level of 255.
    with torch.autocast(images.device.type, enabled=False):
        shorter = (down @ lines).view(n, size, side, channels).transpose(1, 2).reshape(n, side, size * channels)
        small = (across @ shorter).view(n, size, size, channels).transpose(1, 2)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _resize_weights(starts: Tensor, lengths: Tensor, side: int, size: int) -> Tensor:
    """Return for one side the weights ``(N, size, side)`` of stored pixels in the pixels of the resized crops."""
    start, length = (each[:, None, None].float() for each in (starts, lengths))
    scale = length / size
    middle = start + (torch.arange(size, device=start.device)[None, :, None] + 0.5) * scale
    pixel = torch.arange(side, device=start.device)[None, None, :] + 0.5
    weights = (1 - (pixel - middle).abs() / scale.clamp(min=1)).clamp(min=0)
    weights *= (pixel > start) & (pixel < start + length)
    return weights / weights.sum(dim=2, keepdim=True)
