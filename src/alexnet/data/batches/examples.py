"""The images of one split with their labels, as rows of a store; and the shard of one process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from alexnet.data.batches.augmentation import ColourRule
from alexnet.data.source import Source
from alexnet.data.store.store import Store
from alexnet.data.store.verified import Verified
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import to_channels

# Evaluation uses examples without torch.
if TYPE_CHECKING:
    import torch
    from torch import Tensor

Integers = npt.NDArray[np.int64]
Images = Pixels | Verified
"""Stored images, ``(N, S, S, 3)`` uint8."""
# The principal components of colour are computed from this many images, every fourth line and column.
N_COLOUR_IMAGES = 512


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Shard:
    """The part of every batch that a process works on: number ``rank`` of ``world_size`` nearly equal parts."""

    rank: int = 0
    world_size: int = 1

    def part(self, n: int) -> range:
        """Return the positions of this process's part, out of ``n``."""
        return range(self.rank * n // self.world_size, (self.rank + 1) * n // self.world_size)


@dataclass(frozen=True)
class Examples:
    """The readable images of one split.

    Attributes:
        pixels: all images of a store, ``(M, S, S, 3)`` uint8.
        rows: their rows in ``pixels``, ``(N,)``.
        labels: their class numbers, ``(N,)``.
        n_channels: 3 for colour, 1 for luminance.
        names: their paths, for messages, ``(N,)``.
        forget: a function to call after each batch, to release the memory of mapped images.
        resident: the images on the device, ``(N, C, S, S)`` uint8, where it has room for them; else None.
    """

    pixels: Images
    rows: Integers
    labels: Integers
    n_channels: int = 3
    names: tuple[str, ...] = ()
    forget: Callable[[], None] = _nothing
    resident: "Tensor | None" = None

    def __len__(self) -> int:
        return len(self.rows)

    def colours(self, rule: ColourRule = "paper") -> "Tensor":
        """Return the principal components of their colours, ``(3, 3)``; from a sample where there are many."""
        sample = self.rows[:: -(-len(self.rows) // N_COLOUR_IMAGES)]
        return principal_colours(self.pixels[sample], rule)

    def part(self, shard: Shard) -> "Examples":
        """Return the part of one process."""
        part = shard.part(len(self))
        some = slice(part.start, part.stop)
        return replace(self, rows=self.rows[some], labels=self.labels[some], names=self.names[some], resident=None)

    def sample(self, most: int) -> "Examples":
        """Return at most ``most`` of them, evenly spread over their order."""
        return self.take(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.int64))

    def take(self, places: Integers) -> "Examples":
        """Return those at some places."""
        names = tuple(self.names[place] for place in places)
        return replace(self, rows=self.rows[places], labels=self.labels[places], names=names, resident=None)

    def on(self, device: "torch.device") -> "Examples":
        """Return them with their images on a device."""
        import torch

        side = self.pixels.shape[1]
        resident = torch.empty(len(self), side, side, self.n_channels, dtype=torch.uint8, device=device)
        for start in range(0, len(self), 1024):  # all of them may be larger than the main memory
            some = slice(start, start + 1024)
            resident[some] = torch.from_numpy(to_channels(self.pixels[self.rows[some]], self.n_channels))
            self.forget()
        return replace(self, resident=resident.permute(0, 3, 1, 2))

    @property
    def n_bytes(self) -> int:
        """Size of their images in bytes."""
        return len(self) * self.n_channels * int(self.pixels.shape[1]) ** 2


def examples(
    store: Store, source: Source, split: str | None, classes: tuple[str, ...], n_channels: int = 3
) -> Examples:
    """Return the readable images of one split (or all), with the positions of their labels in ``classes``."""
    number = {label: position for position, label in enumerate(classes)}
    chosen = [image for image in source.images if image.path in store.rows and (split is None or image.split == split)]
    rows = np.array([store.rows[image.path] for image in chosen], dtype=np.int64)
    labels = np.array([number[image.label] for image in chosen], dtype=np.int64)
    names = tuple(image.path for image in chosen)
    return Examples(store.pixels, rows, labels, n_channels, names, store.forget)


def principal_colours(pixels: Pixels, rule: ColourRule = "paper") -> "Tensor":
    """Return the principal components of the colours in ``(N, H, W, 3)``, as columns ``(3, 3)``.

    They are the eigenvectors of the covariance of colours in [0, 1], each times its eigenvalue or, by the rule
    ``program``, times its standard deviation, the square root of that.

    Source: section 4.1; convdata_jpeg.py of computerhistory/AlexNet-Source-Code.
    """
    import torch

    values = pixels[:, ::4, ::4].reshape(-1, 3).astype(np.float64) / 255
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(values, rowvar=False))
    # Of grey images two are zero, and rounding may put them below it.
    lengths = eigenvalues if rule == "paper" else np.sqrt(eigenvalues.clip(min=0))
    return torch.from_numpy((eigenvectors * lengths).astype(np.float32))
