"""From a decoded image of any shape to the square input of a network, the same for training and prediction.

It works without torch: an exported model predicts without it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from alexnet.files.installed import is_installed
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.decoding import Pixels
from alexnet.images.pixels import MEAN as MEAN
from alexnet.images.pixels import STD as STD

# For luminance: the mean is weighted from MEAN as luminance is from RGB; the standard deviation belongs to it.
GREY_MEAN = (0.459,)
GREY_STD = (0.226,)
# Padding is filled with the mean, which the network sees as zeros.
PADDING = (124, 116, 104)
# ITU-R 601, in 16 bits, as in Pillow's convert("L").
_LUMINANCE = np.array((19595, 38470, 7471), dtype=np.uint32)

Library = Literal["torch", "pillow"]
"""What resizes images: see ``resize``."""

_HAS_TORCH = is_installed("torch")


def library_for(wanted: Library | None) -> Library:
    """Return what resizes images: what is wanted, or else torch, if torch is installed."""
    return "pillow" if wanted == "pillow" or not _HAS_TORCH else "torch"


def resize(pixels: Pixels, height: int, width: int, library: Library | None = None) -> Pixels:
    """Resize ``(H, W, C)`` to ``(height, width, C)``, bilinear and antialiased.

    Torch is three times faster than Pillow. Single pixels of the two differ, by one level of 255: on noise, none to
    0.6% of the numbers, and by two levels a single number in one of 1,500 images.

    Args:
        pixels: uint8, with 1 or 3 channels.
        height: that of the result, in pixels.
        width: that of the result, in pixels.
        library: what resizes; None: torch where it is installed.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    by = _by_torch if library_for(library) == "torch" else _by_pillow
    return by(pixels, height, width)


def _by_torch(pixels: Pixels, height: int, width: int) -> Pixels:
    import torch
    import torch.nn.functional as F

    # Reshaped: torch would take an added axis for planes of colour, and be five times slower.
    image = np.require(pixels, requirements=("C", "W")).reshape(1, *pixels.shape)
    tensor = torch.from_numpy(image).permute(0, 3, 1, 2)
    return F.interpolate(tensor, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


def _by_pillow(pixels: Pixels, height: int, width: int) -> Pixels:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)


def fit(pixels: Pixels, side: int, how: Resize = "squash", library: Library | None = None) -> Pixels:
    """Resize ``(H, W, 3)`` to a square ``(side, side, 3)``.

    ``squash`` changes the aspect and keeps the whole image. ``crop`` keeps the aspect and cuts off the ends of the
    longer side. ``pad`` keeps both and fills the rest with the mean colour. For a square image all three are the same.

    Departure: the paper (section 2) crops. That loses the edges of every image, and with them an object that is not in
    the middle, so we squash by default.
    """
    height, width = pixels.shape[:2]
    if how == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        return resize(np.ascontiguousarray(pixels[top : top + short, left : left + short]), side, side, library)
    if how == "pad" and height != width:
        scale = side / max(height, width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        square = np.full((side, side, 3), PADDING, dtype=np.uint8)
        top, left = (side - inner_height) // 2, (side - inner_width) // 2
        inner = resize(pixels, inner_height, inner_width, library)
        square[top : top + inner_height, left : left + inner_width] = inner
        return square
    return resize(pixels, side, side, library)


def is_grey(pixels: Pixels) -> bool:
    """Return whether the three channels of each pixel in ``(H, W, 3)`` are equal; then luminance loses nothing.

    Measured on one core: 0.05 ms for a colour image of 1000x1000 pixels, 3 ms for a grey one.
    """
    # One row in sixteen is enough for most colour images. Both channels in one comparison take 7 times as long.
    return all((rows[..., 0] == rows[..., other]).all() for rows in (pixels[::16], pixels) for other in (1, 2))


def to_channels(pixels: Pixels, n: int) -> Pixels:
    """Return RGB ``(..., 3)`` with ``n`` channels: unchanged for 3, the luminance ``(..., 1)`` for 1."""
    if n == 3:
        return pixels
    assert n == 1, "settings refuse any other number"
    return ((pixels @ _LUMINANCE + 0x8000) >> 16).astype(np.uint8)[..., None]


def mean_and_std(n_channels: int, *, mean_image: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel, in [0, 1], for colour (3) or greyscale (1).

    Networks that subtract a mean image read pixels from 0 to 255.
    """
    if mean_image:
        return (0.0,) * n_channels, (1 / 255,) * n_channels
    return (MEAN, STD) if n_channels == 3 else (GREY_MEAN, GREY_STD)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The preprocessing of decoded images, saved with the weights so that prediction repeats that of training.

    The input size of the network is part of the architecture.

    Attributes:
        store_size: side of the stored images in training, in pixels.
        mean: subtracted from each channel, in [0, 1]; one number for each input channel of the network.
        std: each channel is divided by it, in [0, 1]; one number for each input channel.
        resize: how an image is made square.
        max_pixels: larger images are refused.
        library: what resizes images: Pillow for exported models; None: torch where it is installed, as in training.
    """

    store_size: int
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    resize: Resize = "squash"
    max_pixels: int = MAX_PIXELS
    library: Literal["pillow"] | None = None

    def apply(self, pixels: Pixels, image_size: int) -> Pixels:
        """Return ``(H, W, 3)`` uint8 as ``(image_size, image_size, C)`` uint8, resized to ``store_size`` first."""
        stored = fit(pixels, self.store_size, self.resize, self.library)
        return to_channels(resize(stored, image_size, image_size, self.library), len(self.mean))
