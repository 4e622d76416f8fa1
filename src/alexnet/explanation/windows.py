"""Which part of an image a position of a layer's map sees: its receptive field. No torch here."""

import math
from dataclasses import dataclass

import numpy as np

from alexnet.images.decoding import Pixels
from alexnet.inference.probability import Floats
from alexnet.network.value.architecture import Architecture


@dataclass(frozen=True)
class Window:
    """A part of a square image; its edges as shares of the side, in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float

    def crop(self, image: Pixels) -> Pixels:
        """Return this part of an image ``(H, W, C)``; at least one pixel."""
        height, width = image.shape[:2]
        top, left = min(math.floor(self.top * height), height - 1), min(math.floor(self.left * width), width - 1)
        bottom, right = max(math.ceil(self.bottom * height), top + 1), max(math.ceil(self.right * width), left + 1)
        return image[top:bottom, left:right]


@dataclass(frozen=True)
class Field:
    """What the positions of a layer's map see.

    Attributes:
        size: side of the window that one position sees, in pixels.
        stride: pixels from a position's window to that of the next.
        start: where the first window begins, in pixels; negative with padding.
        n: number of positions a side.
        image_size: side of the image in pixels.
        end: where the part of the image ends that any position can see. A layer leaves out the last pixels if they do
            not fill its window.
    """

    size: int
    stride: int
    start: int
    n: int
    image_size: int
    end: int

    def window(self, place: int) -> Window:
        """Return what a position sees, without the padding; positions are counted row by row."""
        row, column = divmod(place, self.n)
        top, left = (self.start + position * self.stride for position in (row, column))
        edges = np.clip((left, top, left + self.size, top + self.size), 0, self.end) / self.image_size
        return Window(*edges.tolist())

    def enlarged(self, values: Floats, side: int) -> Floats:
        """Return a map ``(n, n)`` at the size of an image, ``(side, side)``.

        Each value stands in the middle of the window that its position sees; between them it is linear.
        """
        middles = (self.start + self.size / 2 + self.stride * np.arange(self.n)) / self.image_size
        pixels = (np.arange(side) + 0.5) / side
        wide = np.stack([np.interp(pixels, middles, row) for row in values])
        return np.stack([np.interp(pixels, middles, column) for column in wide.T], axis=1)


def fields(net: Architecture) -> dict[str, Field]:
    """Return what the activation of each layer sees, by the layer's name.

    Its positions are those of the convolution, also where it could as well come before the max pool that it follows:
    see ``Conv.commuted``. Else, after a pool, they are the pool's.

    Norms over several positions are left out of account: those within maps, which damp, and group norms, whose means
    are over the whole map.
    """
    found = {}
    size, stride, start, side, end = 1, 1, 0, net.image_size, net.image_size
    for name, layer, _ in net.conv_layers():
        size += (layer.kernel - 1) * stride
        start -= layer.padding * stride
        stride *= layer.stride
        side = layer.conv_side(side)
        for part in layer.commuted(net.activation):
            if part == "activation":
                found[name] = Field(size, stride, start, side, net.image_size, end)
            elif part == "pool" and layer.pool:
                end = min(end, start + (side - 1) * stride + size)
                size += (layer.pool.kernel - 1) * stride
                stride *= layer.pool.stride
                side = layer.pooled_side(side)
        end = min(end, start + (side - 1) * stride + size)
    return found
