import io

import numpy as np
import pytest
from PIL import Image

from alexnet.html.thumbnails import SIDE, thumbnail


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [
        ((600, 1200, 3), (SIDE, SIDE // 2), "RGB"),
        ((1200, 600, 3), (SIDE // 2, SIDE), "RGB"),
        ((224, 224, 1), (SIDE, SIDE), "L"),
        ((8, 6, 3), (6, 8), "RGB"),
        ((1, 5000, 3), (SIDE, 1), "RGB"),
    ],
)
def test_a_thumbnail_is_small_and_keeps_the_aspect(shape, size, mode) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = thumbnail(noise)
    assert len(content) < 30_000, "noise is what JPEG stores worst"
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size, image.mode) == ("JPEG", size, mode)


def test_it_shows_the_image() -> None:
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[:, 200:] = (255, 0, 0)
    small = np.asarray(Image.open(io.BytesIO(thumbnail(pixels)))).astype(int)
    assert np.abs(small[:, : SIDE // 2 - 8]).max() < 30
    assert np.abs(small[:, SIDE // 2 + 8 :] - (255, 0, 0)).max() < 30
