"""How training images are varied, so that a network learns what stays the same.

All randomness belongs to an image's place in its whole batch, so that processes that share a batch see together what
one process alone would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data.batches.augmentation import Augmentation
from alexnet.images.decoding import Pixels
from alexnet.images.tensors import normalise

# Section 4.1: windows of 224 pixels out of 256.
PAPER_SHARE = 224 / 256
# The principal components of colour are computed from this many images, a quarter of their lines and columns.
N_COLOUR_IMAGES = 512

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """What is cut out of each image of a batch, ``(N,)`` each, in pixels of the store."""

    tops: Integers
    lefts: Integers
    heights: Integers
    widths: Integers
    mirrored: npt.NDArray[np.bool_]

    def of(self, rows: Integers) -> "Windows":
        """Return those of some images."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Batch:
    """One process's part of a batch.

    Attributes:
        images: ``(N, C, S, S)`` uint8, cropped; or whole from the store, where ``windows`` are still to be cut out.
        labels: class numbers ``(N,)``.
        rows: which images of the whole batch they are, ``(N,)``. With mixing, the first may be one before this
            process's own, to be mixed into its neighbour and then left out.
        n_extra: how many are left out after mixing: 0 or 1.
        n_all: images in the whole batch.
        windows: what is to be cut out on the device.
        size: to what it is then resized, in pixels.
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
        """The rows that this process learns from."""
        first = int(self.rows[self.n_extra]) if len(self.rows) > self.n_extra else 0
        return range(first, first + len(self.rows) - self.n_extra)


def draw_windows(n: int, side: int, how: Augmentation, randomness: np.random.Generator) -> Windows:
    """Choose a window for each of ``n`` images of ``side`` pixels."""
    if how.crop == "whole":
        heights = widths = np.full(n, side)
    elif how.crop == "paper":
        heights = widths = np.full(n, max(1, round(side * PAPER_SHARE)))
    else:
        area = randomness.uniform(*how.area, n) * side**2
        log_aspect = randomness.uniform(-np.log(how.aspect), np.log(how.aspect), n)
        widths = np.clip(np.sqrt(area * np.exp(log_aspect)).round().astype(int), 1, side)
        heights = np.clip(np.sqrt(area * np.exp(-log_aspect)).round().astype(int), 1, side)
    lefts = randomness.integers(0, side - widths + 1)
    tops = randomness.integers(0, side - heights + 1)
    mirrored = randomness.random(n) < 0.5 if how.flip else np.zeros(n, dtype=bool)
    return Windows(tops, lefts, heights, widths, mirrored)


def cut(images: Tensor, windows: Windows, size: int) -> Tensor:
    """Cut windows out of ``(N, C, S, S)`` uint8 and resize them to ``(N, C, size, size)``, antialiased, on any device.

    Resizing is two matrix products, one along each side, which is what a GPU does best: at 224 px 0.08 G multiply-adds
    an image, where a training step of the reference network takes 3. Rounded once, where the CPU's own way rounds
    after either side, it differs from that by one level of 255 at most.
    """
    (n, channels, side, _), device = images.shape, images.device
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    numbers = (windows.tops, windows.heights, windows.lefts, windows.widths, windows.mirrored)
    tops, heights, lefts, widths, mirrored = (torch.from_numpy(each).to(device) for each in numbers)
    down = _filters(tops, heights, side, size).to(dtype)
    across = _filters(lefts, widths, side, size).to(dtype)
    across = torch.where(mirrored[:, None, None], across.flip(1), across)
    lines = images.permute(0, 2, 3, 1).reshape(n, side, side * channels).to(dtype)
    # Not in the network's bfloat16, whose weights would be off by a two-hundredth: a level of 255.
    with torch.autocast(images.device.type, enabled=False):
        shorter = (down @ lines).view(n, size, side, channels).transpose(1, 2).reshape(n, side, size * channels)
        small = (across @ shorter).view(n, size, size, channels).transpose(1, 2)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _filters(starts: Tensor, lengths: Tensor, side: int, size: int) -> Tensor:
    """Return for each image the weights ``(N, size, side)`` with which its pixels make up those of its window."""
    start, length = (each[:, None, None].float() for each in (starts, lengths))
    scale = length / size
    middle = start + (torch.arange(size, device=start.device)[None, :, None] + 0.5) * scale
    pixel = torch.arange(side, device=start.device)[None, None, :] + 0.5
    weights = (1 - (pixel - middle).abs() / scale.clamp(min=1)).clamp(min=0)
    weights *= (pixel > start) & (pixel < start + length)
    return weights / weights.sum(dim=2, keepdim=True)


def principal_colours(pixels: Pixels) -> Tensor:
    """Return the principal components of the colours in ``(N, H, W, 3)``, a column each, as long as its eigenvalue.

    The eigenvalues are those of the covariance of colours in [0, 1].

    Source: section 4.1.
    """
    values = pixels[:, ::4, ::4].reshape(-1, 3).astype(np.float64) / 255
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(values, rowvar=False))
    return torch.from_numpy((eigenvectors * eigenvalues).astype(np.float32))


def augment_batch(
    batch: Batch,
    how: Augmentation,
    *,
    seed: int,
    n_classes: int,
    colours: Tensor | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Do on the device all that is done to a batch after it was taken out of the store, or cropped.

    Args:
        batch: the images.
        how: what to do.
        seed: what all of it follows from.
        n_classes: how many classes there are.
        colours: what ``principal_colours`` returned; needed for ``colour_shift``.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].

    Returns:
        Normalised images ``(N, C, size, size)``, and class numbers ``(N,)`` or, after mixing, probabilities
        ``(N, n_classes)``.
    """
    images = batch.images
    if batch.windows is not None:
        images = cut(images, batch.windows, batch.size)
    if how.turn:
        images = _each(images, batch.rows, seed + 1, _turned)
    if how.trivial_augment:
        from torchvision.transforms import v2

        images = _each(images, batch.rows, seed + 2, v2.TrivialAugmentWide())
    normal = normalise(images, mean, std)
    if how.colour_shift:
        assert colours is not None
        torch.manual_seed(seed)
        normal = normal + _colour_shift(batch.n_all, how.colour_shift, colours, std)[batch.rows].to(normal)
    if how.erasing:
        from torchvision.transforms import v2

        normal = _each(normal, batch.rows, seed + 3, v2.RandomErasing(how.erasing, value=0))  # the mean colour
    torch.manual_seed(seed + 4)
    mixed, targets = _mix(normal, batch.labels, how, n_classes, batch.n_all)
    return mixed[batch.n_extra :], targets[batch.n_extra :]


def is_mixed(how: Augmentation) -> bool:
    """Return whether images are mixed with their neighbours in the batch."""
    return how.mixup > 0 or how.cutmix > 0


def _each(images: Tensor, rows: Integers, seed: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change images one at a time: a batch at once would all be changed alike, and as others of it are."""
    changed = []
    # Not in the network's bfloat16: turning an image would put a tenth of its pixels one column off.
    with torch.autocast(images.device.type, enabled=False):
        for row, image in zip(rows, images, strict=True):
            # Seeds of neighbouring streams must not meet: they are fewer than this number.
            torch.manual_seed(seed + (int(row) + 1) * 1_000_003)
            changed.append(change(image))
    return torch.stack(changed).contiguous(memory_format=torch.channels_last) if changed else images


def _turned(image: Tensor) -> Tensor:
    quarters = int(torch.randint(4, ()))
    return image.rot90(quarters, (1, 2))


def _colour_shift(n: int, spread: float, colours: Tensor, std: tuple[float, ...]) -> Tensor:
    shifts = torch.randn(n, 3) * spread @ colours.T
    if len(std) == 1:  # luminance weighs the channels
        shifts = shifts @ torch.tensor((0.299, 0.587, 0.114))[:, None]
    return (shifts / torch.tensor(std)).view(n, -1, 1, 1)


def _mix(images: Tensor, labels: Tensor, how: Augmentation, n_classes: int, n_all: int) -> tuple[Tensor, Tensor]:
    ways = [name for name in ("mixup", "cutmix") if getattr(how, name)]
    if not ways or n_all < 2 or not len(images):
        return images, labels
    from torchvision.transforms import v2

    way = ways[int(torch.randint(len(ways), ()))]
    mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[way](alpha=getattr(how, way), num_classes=n_classes)
    # Each image is mixed with the one before it.
    mixed, targets = mix(images, labels)
    return mixed.contiguous(memory_format=torch.channels_last), targets
