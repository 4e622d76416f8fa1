"""A convolution whose last windows may hang over the edge."""

import torch.nn.functional as F
from torch import Tensor, nn


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` with the number of windows rounded up.

    The last windows may hang over the right and lower edge, by less than a stride. What lies outside is zero.

    Source: the program of 2012; torch rounds down, and only its pools can round up.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return maps ``(N, C, h, w)``."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        height, width = ((kernel - side - 2 * padding) % stride for side in input.shape[-2:])
        return super().forward(F.pad(input, (0, width, 0, height)) if height or width else input)
