"""Small versions of images, to be shown in a page."""

import io

from PIL import Image

from alexnet.images.decoding import Pixels

# The longer side, in pixels. Pages show it at two thirds of that, so that it is sharp on most screens.
SIDE = 192


def thumbnail(pixels: Pixels, side: int = SIDE) -> bytes:
    """Return an image as a small JPEG, at most ``side`` pixels a side; with 192 about 5 kB.

    Args:
        pixels: ``(H, W, 3)`` or, for grey, ``(H, W, 1)`` uint8.
        side: its longer side, in pixels.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
