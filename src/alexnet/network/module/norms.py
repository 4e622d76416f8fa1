"""Local response normalisation for maps ``(N, C, H, W)``."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocalResponseNorm(nn.LocalResponseNorm):
    """``torch.nn.LocalResponseNorm``, but deterministic, faster in channels_last, and within groups of channels.

    torch computes the sums by three-dimensional pooling, whose backward pass is not deterministic on a GPU.

    Args:
        size: channels in a neighbourhood.
        alpha: factor of the mean of their squares.
        beta: exponent.
        k: what is added to that mean.
        groups: equal groups of channels; a neighbourhood ends where its group ends.

    Source: the paper, section 3.3; Krizhevsky's code for the division of alpha by the size.
    """

    def __init__(self, size: int, alpha: float, beta: float, k: float, groups: int = 1) -> None:
        super().__init__(size, alpha, beta, k)
        self.groups = groups

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape and dtype, each number damped by the squares in the channels around it."""
        exact = _exact(maps)
        squares = exact.square()
        sums = torch.cat([self._sums(group) for group in squares.chunk(self.groups, dim=1)], dim=1)
        damping = (self.k + self.alpha / self.size * sums) ** -self.beta
        return (exact * damping).to(maps.dtype)

    def _sums(self, squares: Tensor) -> Tensor:
        before = self.size // 2
        padded = F.pad(squares, (0, 0, 0, 0, before, self.size - 1 - before))
        n_channels = squares.shape[1]
        sums = padded[:, :n_channels]
        for first in range(1, self.size):
            sums = sums + padded[:, first : first + n_channels]
        return sums

    def extra_repr(self) -> str:
        """Return its numbers, for the network's text."""
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}{groups}"


class MapResponseNorm(nn.Module):
    """Local response normalisation within each map: see ``MapNorm``.

    Args:
        size: side of a neighbourhood, in positions.
        alpha: factor of the mean of the squares there.
        beta: exponent.
        k: what is added to that mean.

    Source: the program of 2012.
    """

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape and dtype, each number damped by the squares at the positions around it."""
        exact = _exact(maps)
        before = self.size // 2
        after = self.size - 1 - before
        # With the zeros around it, the mean over a window is the sum divided by the size of a whole window.
        padded = F.pad(exact.square(), (before, after, before, after))
        means = F.avg_pool2d(padded, self.size, stride=1)
        return (exact * (self.k + self.alpha * means) ** -self.beta).to(maps.dtype)

    def extra_repr(self) -> str:
        """Return its numbers, for the network's text."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _exact(maps: Tensor) -> Tensor:
    """Return maps in float32 at least. In half precision, squares and powers would lose the effect of the norm."""
    return maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
