"""From a decoded image of any shape to the square that a network takes; the same for training and for answering.

No torch here: a served model may run without it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.decoding import Pixels
from alexnet.images.pixels import MEAN as MEAN
from alexnet.images.pixels import STD as STD

# Makes ``(H, W, 3)`` of a given height and width: ``resized`` below, or torch's, which is three times faster and never
# differs by more than one level of 255.
Resizer = Callable[[Pixels, int, int], Pixels]

# Of luminance: the colours' means weighted as luminance weighs them, and the spread that goes with it.
GREY_MEAN = (0.459,)
GREY_STD = (0.226,)
# What padding adds is the mean, so that the network sees zeros there.
PADDING = (124, 116, 104)
# ITU-R 601, in 16 bits, as Pillow's convert("L") has it.
_LUMINANCE = np.array((19595, 38470, 7471), dtype=np.uint32)


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize ``(H, W, 3)`` to ``(height, width, 3)``, bilinear and antialiased."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def fit(pixels: Pixels, side: int, how: Resize = "squash", resizer: Resizer = resized) -> Pixels:
    """Make ``(H, W, 3)`` the square ``(side, side, 3)``.

    ``squash`` changes the aspect, and nothing is cut off; ``crop`` keeps the aspect and cuts the ends of the longer
    side off; ``pad`` keeps both and fills the rest with the mean colour. A square image is the same in all three.

    Departure: the paper (section 2) crops; that loses the edges of every image, and the object with them when it is
    not in the middle, so ours are squashed unless asked otherwise.
    """
    height, width = pixels.shape[:2]
    if how == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        return resizer(np.ascontiguousarray(pixels[top : top + short, left : left + short]), side, side)
    if how == "pad" and height != width:
        scale = side / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        square = np.full((side, side, 3), PADDING, dtype=np.uint8)
        top, left = (side - inner_height) // 2, (side - inner_width) // 2
        square[top : top + inner_height, left : left + inner_width] = resizer(pixels, inner_height, inner_width)
        return square
    return resizer(pixels, side, side)


def to_channels(pixels: Pixels, n: int) -> Pixels:
    """Return RGB ``(..., 3)`` with ``n`` channels: itself for 3, its luminance ``(..., 1)`` for 1."""
    if n == 3:
        return pixels
    assert n == 1, "settings refuse any other number"
    return ((pixels @ _LUMINANCE + 0x8000) >> 16).astype(np.uint8)[..., None]


def centre_and_spread(n_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of pixels, in [0, 1], for colour (3) or greyscale (1)."""
    return (MEAN, STD) if n_channels == 3 else (GREY_MEAN, GREY_STD)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to a decoded image before the network sees it; saved with the weights and done again with them.

    Attributes:
        store_size: side in pixels to which training shrank the images once.
        image_size: side in pixels of what the network takes.
        mean: subtracted from each channel, in [0, 1]; as many numbers as the network has input channels.
        std: each channel is divided by it, in [0, 1].
        resize: how an image is made square.
        max_pixels: larger images are refused.
    """

    store_size: int
    image_size: int
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    resize: Resize = "squash"
    max_pixels: int = MAX_PIXELS

    @property
    def n_channels(self) -> int:
        """Channels that the network takes: 3 for RGB, 1 for luminance."""
        return len(self.mean)

    def apply(self, pixels: Pixels, resizer: Resizer = resized) -> Pixels:
        """Return ``(H, W, 3)`` uint8 as ``(image_size, image_size, C)`` uint8, by way of the store's size."""
        stored = fit(pixels, self.store_size, self.resize, resizer)
        return to_channels(resizer(stored, self.image_size, self.image_size), self.n_channels)
