"""The kernels of conv1 as one image, and a number that tells trained ones from untrained ones. No torch here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alexnet.images.decoding import Pixels
from alexnet.inference.probability import Floats
from alexnet.network.value.architecture import Architecture

# The paper's figure 3 has 96 kernels in 16 columns and 6 rows.
PAPER_ASPECT = 16 / 6
WHITE = 255


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of conv1.

    Attributes:
        weights: ``(n, C, k, k)``.
        n_groups: number of groups that conv2 reads separately: two in the paper, one for each GPU.
    """

    weights: Floats
    n_groups: int = 1

    @classmethod
    def of(cls, net: Architecture, tensors: Mapping[str, Floats]) -> "Kernels":
        """Return the kernels of a network, given its weights by name, as in its state dict."""
        return cls(tensors["conv1.conv.weight"], net.layers[1].groups if len(net.layers) > 1 else 1)

    @property
    def structure(self) -> float:
        """How much alike neighbouring weights are: the mean of a correlation over the kernels, in [-1, 1].

        For each kernel it is the correlation, about zero, of all pairs of weights beside or below each other. Random
        weights are independent, so it is about 0 before training: within 0.02 for 96 kernels of 3x11x11. The edges and
        blobs of colour in the paper's figure 3 bring it close to 1.
        """
        n, exact = len(self.weights), self.weights.astype(np.float64)
        pairs = [(exact[..., 1:], exact[..., :-1]), (exact[..., 1:, :], exact[..., :-1, :])]
        first, second = (np.concatenate([pair[i].reshape(n, -1) for pair in pairs], axis=1) for i in (0, 1))
        size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
        # A kernel of zeros, or of one weight, has no structure.
        return float(np.divide((first * second).sum(axis=1), size, out=np.zeros(n), where=size > 0).mean())

    def draw(self, cell: int = 44) -> Pixels:
        """Return the kernels as one image ``(H, W, 3)``: in colour if they read three channels, else grey.

        Each kernel is scaled to its own range, from its smallest weight to its largest. Each group begins a new row,
        below a wider gap.

        Args:
            cell: about the side of a kernel in the image, in pixels.

        Source: the paper, figure 3.
        """
        n, n_channels, side, _ = self.weights.shape
        colours = self.weights if n_channels == 3 else self.weights.mean(axis=1, keepdims=True).repeat(3, axis=1)
        low, high = colours.min(axis=(1, 2, 3), keepdims=True), colours.max(axis=(1, 2, 3), keepdims=True)
        scaled = ((colours - low) / np.where(high > low, high - low, 1) * 255).round().astype(np.uint8)
        factor = max(1, round(cell / side))
        tiles = scaled.transpose(0, 2, 3, 1).repeat(factor, axis=1).repeat(factor, axis=2)

        n_in_group = n // self.n_groups
        columns = _columns(n, n_in_group)
        gap = max(1, cell // 20)
        step, rows = side * factor + gap, math.ceil(n_in_group / columns)
        page = np.full((self.n_groups * (rows * step + gap) - 2 * gap, columns * step - gap, 3), WHITE, np.uint8)
        for number, tile in enumerate(tiles):
            group, place = divmod(number, n_in_group)
            row, column = divmod(place, columns)
            top, left = group * (rows * step + gap) + row * step, column * step
            page[top : top + side * factor, left : left + side * factor] = tile
        return page


def _columns(n: int, n_in_group: int) -> int:
    """Return a number of columns near the figure's; one that fills the last row, if there is one."""
    most = max(1, min(round(math.sqrt(n * PAPER_ASPECT)), n_in_group))
    full = max(columns for columns in range(1, most + 1) if n_in_group % columns == 0)
    return full if 2 * full >= most else most
