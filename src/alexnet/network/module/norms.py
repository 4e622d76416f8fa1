"""Local response normalisation for maps ``(N, C, H, W)``."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LocalResponseNorm(nn.LocalResponseNorm):
    """``torch.nn.LocalResponseNorm``, but deterministic, and faster in channels_last.

    torch computes the sums by three-dimensional pooling, whose backward pass is not deterministic on a GPU.

    Source: the paper, section 3.3; Krizhevsky's code for the division of alpha by the size.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape and dtype, each number damped by the squares in the channels around it."""
        # In half precision, the squares and powers would lose the effect of the norm.
        exact = maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
        before = self.size // 2
        padded = F.pad(exact.square(), (0, 0, 0, 0, before, self.size - 1 - before))
        n_channels = maps.shape[1]
        sums = padded[:, :n_channels]
        for first in range(1, self.size):
            sums = sums + padded[:, first : first + n_channels]
        damping = (self.k + self.alpha / self.size * sums) ** -self.beta
        return (exact * damping).to(maps.dtype)
