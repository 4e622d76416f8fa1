"""How training pictures are varied, so that a network learns what stays the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data.augmentation import Augmentation
from alexnet.data.image import Pixels
from alexnet.data.tensors import normalise

# Section 4.1: windows of 224 pixels out of 256.
PAPER_SHARE = 224 / 256
# The principal components of colour are computed from this many pictures, a quarter of their lines and columns.
N_COLOUR_PICTURES = 512

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """What is cut out of each picture of a batch, ``(N,)`` each, in pixels of the store."""

    tops: Integers
    lefts: Integers
    heights: Integers
    widths: Integers
    mirrored: npt.NDArray[np.bool_]


def draw_windows(n: int, side: int, how: Augmentation, randomness: np.random.Generator) -> Windows:
    """Choose a window for each of ``n`` pictures of ``side`` pixels."""
    if how.crop == "paper":
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


def principal_colours(pixels: Pixels) -> Tensor:
    """Return the principal components of the colours in ``(N, H, W, 3)``, a column each, as long as its eigenvalue.

    The eigenvalues are those of the covariance of colours in [0, 1].

    Source: section 4.1.
    """
    values = pixels[:, ::4, ::4].reshape(-1, 3).astype(np.float64) / 255
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(values, rowvar=False))
    return torch.from_numpy((eigenvectors * eigenvalues).astype(np.float32))


def vary(
    pictures: Tensor,
    labels: Tensor,
    how: Augmentation,
    *,
    n_classes: int,
    colours: Tensor | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Do on the device what is done to a batch after cropping; random numbers are torch's own, seeded by the caller.

    Args:
        pictures: ``(N, C, H, W)`` uint8.
        labels: class numbers, ``(N,)``.
        how: what to do.
        n_classes: how many classes there are.
        colours: what ``principal_colours`` returned; needed for ``colour_shift``.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].

    Returns:
        Normalised pictures, and class numbers ``(N,)`` or, after mixing, probabilities ``(N, n_classes)``.
    """
    if how.trivial_augment:
        from torchvision.transforms import v2

        trivial = v2.TrivialAugmentWide()
        # One at a time: a batch at once would all go through the same operation.
        pictures = torch.stack([trivial(picture) for picture in pictures])
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    normal = normalise(pictures, mean, std)
    if how.colour_shift:
        assert colours is not None
        normal = normal + _colour_shift(len(normal), how.colour_shift, colours, std).to(normal)
    if how.erasing:
        from torchvision.transforms import v2

        erase = v2.RandomErasing(how.erasing, value=0)  # the mean colour
        normal = torch.stack([erase(picture) for picture in normal]).contiguous(memory_format=torch.channels_last)
    return _mix(normal, labels, how, n_classes)


def _colour_shift(n: int, spread: float, colours: Tensor, std: tuple[float, ...]) -> Tensor:
    shifts = torch.randn(n, 3) * spread @ colours.T
    if len(std) == 1:  # luminance weighs the channels
        shifts = shifts @ torch.tensor((0.299, 0.587, 0.114))[:, None]
    return (shifts / torch.tensor(std)).view(n, -1, 1, 1)


def _mix(pictures: Tensor, labels: Tensor, how: Augmentation, n_classes: int) -> tuple[Tensor, Tensor]:
    ways = [name for name in ("mixup", "cutmix") if getattr(how, name)]
    if not ways or len(pictures) < 2:
        return pictures, labels
    from torchvision.transforms import v2

    way = ways[int(torch.randint(len(ways), ()))]
    mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[way](alpha=getattr(how, way), num_classes=n_classes)
    mixed, targets = mix(pictures, labels)
    return mixed.contiguous(memory_format=torch.channels_last), targets
