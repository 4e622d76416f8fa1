"""Files as the page decodes them, against the decoder in Python."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Error

from alexnet.errors import ImageError
from alexnet.images.decoding import decode

from ..conftest import shared_data

RUN = """async ([text, side, most]) => {
  const { data, width, height } = await decode(new Blob([fromBase64(text)]), side, most);
  let binary = "";
  for (const value of data) binary += String.fromCharCode(value);
  return [btoa(binary), width, height];
}"""
MOST = 10_000_000


def in_browser(compute: Any, content: bytes, side: int, most: int = MOST) -> np.ndarray:
    text, width, height = compute.evaluate(RUN, [base64.b64encode(content).decode(), side, most])
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 3)


def scene(width: int, height: int) -> Image.Image:
    """Return a smooth coloured image with some edges, as cameras take them."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [np.sin(8 * x + 3 * y), np.cos(5 * y - 2 * x), np.where((x * 6 + y * 4) % 2 < 1, 0.4, -0.3)]
    return Image.fromarray((128 + 90 * np.stack(waves, axis=2)).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(compute: Any, content: bytes, side: int = 64) -> np.ndarray:
    expected = decode(content, min_side=side)
    found = in_browser(compute, content, side)
    assert found.shape == expected.shape
    return np.abs(found.astype(int) - expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF"])
def test_what_is_stored_without_loss_is_the_same(kind, compute) -> None:
    image = scene(90, 70).quantize(64) if kind == "GIF" else scene(90, 70)
    assert difference(compute, saved(image, kind, **({"lossless": True} if kind == "WEBP" else {}))).max() == 0


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA"])
def test_every_kind_of_png_is_the_same_within_a_level(mode, compute) -> None:
    image = scene(90, 70).convert("L" if mode == "LA" else "RGB")
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    else:
        image = image.convert(mode)
    assert image.mode == mode
    assert difference(compute, saved(image, "PNG")).max() <= 1


# A half, a quarter and an eighth, of sides that are no multiple of them; and one that is too small to be reduced.
@pytest.mark.parametrize("size", [(100, 90), (150, 131), (300, 263), (1001, 600)])
@pytest.mark.parametrize("subsampling", [0, 2], ids=["4:4:4", "4:2:0"])
def test_a_jpeg_is_reduced_as_in_python(size, subsampling, compute) -> None:
    off = difference(compute, saved(scene(*size), "JPEG", quality=92, subsampling=subsampling))
    inside = off[:-1, :-1]  # at the edge, libjpeg also uses pixels beyond it
    # Colours of half the resolution are enlarged by the browser and then reduced; by libjpeg neither.
    assert inside.mean() < (0.5 if subsampling == 0 else 1.2)
    assert inside.max() <= (2 if subsampling == 0 else 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(orientation, compute) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    off = difference(compute, saved(scene(96, 64), "JPEG", quality=95, subsampling=0, exif=exif), side=80)
    assert off.max() <= 2


def test_profiles_of_colour_are_ignored_as_in_python(compute) -> None:
    folder = shared_data("nasty_images")
    assert difference(compute, (folder / "pillow" / "icc_profile_big.jpg").read_bytes(), side=1000).mean() < 0.5


def test_an_image_of_several_bands_is_whole(compute) -> None:
    image = scene(2600, 1300)  # three million pixels, of which a canvas holds one
    assert difference(compute, saved(image, "PNG", compress_level=1), side=64).max() == 0


@pytest.mark.parametrize("content", [b"text", b"\xff\xd8\xff\xe0", b"<svg xmlns='x'/>", saved(scene(9, 9), "PNG")[:60]])
def test_a_broken_file_gets_a_sentence(content, compute) -> None:
    with pytest.raises(Error, match="not an image that this browser can read, or damaged; save it as JPEG or PNG"):
        in_browser(compute, content, 64)


def test_an_image_that_is_too_large_gets_one_too(compute) -> None:
    with pytest.raises(Error, match="it has 90x70 pixels, more than the 6,299 allowed"):
        in_browser(compute, saved(scene(90, 70), "PNG"), 64, 6299)


# What Chromium makes something else of: animations whose first frame is shown later, orientations that are stored in a
# PNG or WebP, or in a damaged EXIF, and a transparent colour of a PNG of one bit.
OTHER = {
    "apng__blend_op_over.png", "apng__mode_16bit.png", "apng__mode_palette_alpha.png", "xmp_tags_orientation.png",
    "exif_imagemagick_orientation.png", "hopper_orientation_6.webp", "hopper_bad_exif.jpg", "i_trns.png",
}  # fmt: skip


def test_odd_images_are_the_same_or_refused_by_the_browser(compute) -> None:
    folder = shared_data("nasty_images")
    files = sorted(path for name in ("pillow", "exif_orientation") for path in (folder / name).iterdir())
    n_compared, different = 0, []
    for path in files:
        try:
            expected = decode(path, min_side=64, max_pixels=MOST)
        except ImageError:
            continue
        try:
            found = in_browser(compute, path.read_bytes(), 64)
        except Error:
            continue
        if found.shape != expected.shape or np.abs(found.astype(int) - expected).mean() > 2:
            different.append(path.name)
        n_compared += 1
    assert n_compared > 40
    assert set(different) <= OTHER
