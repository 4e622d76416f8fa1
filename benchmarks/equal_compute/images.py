"""All images of a set on the device, and random or whole crops of them."""

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.crops import crop_on_device, draw_windows
from alexnet.files.paths import natural_key
from alexnet.images.tensors import normalise
from benchmarks.equal_compute.arm import Arm
from benchmarks.gpu.bench import CIFAR, TRASHNET
from benchmarks.gpu.pack import N_TRAIN

# Images of trashnet5 are squeezed to a square of this side; those of CIFAR-10 have 32 px.
SIDE = 160
# Held out for evaluation, another hold-out per seed: at most this many, and at most a quarter.
N_HELD_OUT = {"trashnet5": 400, "cifar10": 3000}


@dataclass(frozen=True)
class Images:
    """Stored images.

    Attributes:
        pixels: ``(N, 3, S, S)`` uint8.
        labels: ``(N,)`` class numbers.
        n_classes: number of classes.
    """

    pixels: Tensor
    labels: Tensor
    n_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor) -> "Images":
        """Return some of the images."""
        return Images(self.pixels[rows], self.labels[rows], self.n_classes)

    def hold_out(self, name: str, seed: int) -> tuple["Images", "Images"]:
        """Return the images to train with, and those to evaluate with."""
        order = np.random.default_rng(1000 + seed).permutation(len(self))
        rows = torch.from_numpy(order).to(self.labels.device)
        n = min(N_HELD_OUT[name], len(self) // 4)
        return self.select(rows[n:]), self.select(rows[:n])


def load(data: Path, name: str, device: str) -> Images:
    """Load the images of ``train`` and ``val``; of CIFAR-10 as many of each class as ``benchmarks.gpu --pack`` keeps.

    Raises:
        FileNotFoundError: the set is missing.
    """
    archives = sorted(data.glob(CIFAR))
    if name == "trashnet5" and (data / TRASHNET).is_dir():
        paths = sorted(path for split in ("train", "val") for path in (data / TRASHNET / split).rglob("*.jpg"))
        return _stored([path.parent.name for path in paths], (_pixels(path, SIDE) for path in paths), device)
    if name == "cifar10" and archives:
        with zipfile.ZipFile(archives[0]) as archive:
            names = _first_of_each_class(archive.namelist())
            pixels = (_pixels(io.BytesIO(archive.read(each)), None) for each in names)
            return _stored([PurePosixPath(each).parts[-2] for each in names], pixels, device)
    raise FileNotFoundError(f"{str(data)!r} has no {TRASHNET if name == 'trashnet5' else CIFAR!r}")


def _first_of_each_class(names: Iterable[str]) -> list[str]:
    by_class: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names, key=natural_key):
        if "train/" in name and not name.endswith("/"):
            by_class[PurePosixPath(name).parts[-2]].append(name)
    return sorted(chain.from_iterable(each[: N_TRAIN // len(by_class)] for each in by_class.values()))


def _pixels(file: Path | BinaryIO, side: int | None) -> np.ndarray:
    with Image.open(file) as image:
        colours = image.convert("RGB")
    return np.asarray(colours.resize((side, side), Image.Resampling.BILINEAR) if side else colours)


def _stored(labels: list[str], pixels: Iterable[np.ndarray], device: str) -> Images:
    classes = sorted(set(labels))
    numbers = torch.tensor([classes.index(label) for label in labels], device=device)
    stacked = torch.from_numpy(np.stack(list(pixels))).permute(0, 3, 1, 2).contiguous().to(device)
    return Images(stacked, numbers, len(classes))


def whole(pixels: Tensor, size: int) -> Tensor:
    """Return whole images at a size, normalised: ``(N, 3, size, size)``."""
    return _cropped(pixels, size, Augmentation(crop="whole", flip=False), np.random.default_rng(0))


def augmented(pixels: Tensor, size: int, arm: Arm, randomness: np.random.Generator) -> Tensor:
    """Return random crops at a size, augmented as the arm says and normalised: ``(N, 3, size, size)``."""
    how = Augmentation(
        crop="paper" if arm.paper_crops else "resized", area=(arm.area, 1.0), aspect=arm.aspect, flip=arm.flip
    )
    crops = _cropped(pixels, size, how, randomness)
    if arm.turn:
        crops = torch.where(_half_of(crops), crops.transpose(-1, -2), crops)
        crops = torch.where(_half_of(crops), crops.flip(-2), crops)
    if arm.erasing:
        crops = _erased(crops, arm.erasing)
    return crops.contiguous(memory_format=torch.channels_last)


def _cropped(pixels: Tensor, size: int, how: Augmentation, randomness: np.random.Generator) -> Tensor:
    windows = draw_windows(len(pixels), pixels.shape[-1], how, randomness)
    return normalise(crop_on_device(pixels, windows, size))


def _half_of(crops: Tensor) -> Tensor:
    return torch.rand(len(crops), 1, 1, 1, device=crops.device) < 0.5


def _erased(crops: Tensor, share: float) -> Tensor:
    """Erase a square of 15% to 40% of the side in a share of the crops."""
    n, _, size, _ = crops.shape
    sides, tops, lefts, drawn = torch.rand(4, n, 1, 1, 1, device=crops.device).unbind()
    half = size * (0.15 + 0.25 * sides) / 2
    line = torch.arange(size, device=crops.device)
    is_inside = ((line.view(-1, 1) - tops * size).abs() < half) & ((line - lefts * size).abs() < half)
    return crops.masked_fill(is_inside & (drawn < share), 0.0)
