import io
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from alexnet.errors import ImageError
from alexnet.images.decoding import decode, measure, read

from ..conftest import coloured_image
from .files import chunk


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size but has no pixels: it can be measured, but not decoded."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b"")


def icon_of(*images: tuple[int, bytes]) -> bytes:
    """Return an icon of images, each with its side in the icon's table; 0 means 256."""
    offset = 6 + 16 * len(images)
    table = b""
    for side, content in images:
        table += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(content), offset)
        offset += len(content)
    return struct.pack("<HHH", 0, 1, len(images)) + table + b"".join(content for _, content in images)


def test_a_bomb_inside_an_icon_is_measured_not_decoded() -> None:
    """The table of an icon says 256x256 at most, and Pillow decodes the image inside to know its size."""
    icon = icon_of((0, png_of(20_000, 20_000)))
    assert measure(icon) == (20_000, 20_000)
    with pytest.raises(ImageError, match="it claims 20000x20000 pixels"):
        read(icon)


def test_an_icon_shows_the_image_that_was_measured() -> None:
    small = io.BytesIO()
    coloured_image("red", 0, (48, 48)).save(small, "PNG")
    icon = icon_of((0, small.getvalue()), (48, png_of(20_000, 20_000)))
    assert decode(icon).shape == (48, 48, 3)


@pytest.mark.parametrize("kind", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_icons_look_as_pillow_shows_them(kind, mode) -> None:
    image = coloured_image("blue", 1, (64, 64)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((64, 64)))
    buffer = io.BytesIO()
    image.save(buffer, "ICO", sizes=[(16, 16), (48, 48)], bitmap_format=kind)
    page = Image.new("RGB", (48, 48), (255, 255, 255))
    with Image.open(buffer) as theirs:
        shown = theirs.convert("RGBA")
        page.paste(shown, mask=shown)
        assert read(buffer.getvalue()).mode == theirs.mode
    assert np.array_equal(decode(buffer.getvalue()), np.asarray(page))


def test_pillows_limit_can_be_exceeded_for_one_call(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF", "WEBP", "AVIF", "JPEG2000", "TGA", "ICO"):
        buffer = io.BytesIO()
        Image.new("RGB", (100, 100)).save(buffer, kind, **({"sizes": [(100, 100)]} if kind == "ICO" else {}))
        assert decode(buffer.getvalue()).shape == (100, 100, 3), kind
        with pytest.raises(ImageError, match="100x100 pixels, more than the 9,999 allowed"):
            decode(buffer.getvalue(), max_pixels=9_999)


def webp_of(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return buffer.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "opaque"])
@pytest.mark.parametrize(
    "options",
    [{}, {"lossless": True}, {"quality": 30}, {"exif": turned()}, {"save_all": True, "append_images": "itself"}],
)
def test_webps_look_as_pillow_shows_them(mode, options) -> None:
    image = coloured_image("blue", 1, (61, 33))
    if mode != "RGB":
        image.putalpha(Image.linear_gradient("L").resize(image.size) if mode == "RGBA" else 255)
    if "append_images" in options:
        options = {**options, "append_images": [Image.new(image.mode, image.size)]}
    content = webp_of(image, **options)
    with Image.open(io.BytesIO(content)) as theirs:
        decoded = read(content)
        assert (decoded.format, decoded.mode, decoded.sides) == ("WEBP", theirs.mode, theirs.size)
        upright = ImageOps.exif_transpose(theirs)
        page = Image.new("RGB", upright.size, (255, 255, 255))
        page.paste(upright.convert("RGB"), mask=upright.getchannel("A") if upright.mode == "RGBA" else None)
    assert np.array_equal(decoded.pixels, np.asarray(page))


def test_a_webp_is_measured_before_there_is_memory_for_it() -> None:
    bits = 16383 - 1 | 16383 - 1 << 14
    body = b"VP8L" + struct.pack("<IBI", 14, 0x2F, bits) + bytes(9)
    bomb = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    assert measure(bomb) == (16383, 16383)
    with pytest.raises(ImageError, match=r"it claims 16383x16383 pixels"):
        read(bomb)
    with pytest.raises(ImageError, match="damaged"):
        read(bomb, max_pixels=16383**2)


@pytest.mark.parametrize("n_kept", [12, 20, 29, 30, 100, -1])
def test_a_webp_that_is_cut_off_is_named(n_kept) -> None:
    with pytest.raises(ImageError, match=r"damaged|not an image"):
        read(webp_of(coloured_image("red", 0))[:n_kept])


def test_an_icon_above_pillows_limit_warns_of_nothing(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 100 - 1)
    buffer = io.BytesIO()
    Image.new("RGB", (100, 100)).save(buffer, "ICO", sizes=[(100, 100)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(buffer.getvalue()).shape == (100, 100, 3)


def test_a_frame_that_pillow_refuses() -> None:
    """If the first frame of a GIF is to be cleared, Pillow creates an empty one of that size when it opens the file."""
    screen = b"GIF89a" + struct.pack("<HH", 10, 10) + b"\x80\0\0" + bytes(6)
    frame = b"!\xf9\x04\x08\0\0\0\0," + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\x02\x02\x44\x01\0;"
    with pytest.raises(ImageError, match=r"Pillow refuses it .*, whatever --max-pixels says; save it as PNG") as caught:
        decode(screen + frame)
    assert "damaged" not in caught.value.reason
    assert "MAX_IMAGE_PIXELS" not in caught.value.reason


def test_an_opened_image_is_measured_before_it_is_decoded() -> None:
    with (
        Image.open(io.BytesIO(png_of(3_000, 3_000))) as image,
        pytest.raises(ImageError, match="it claims 3000x3000 pixels"),
    ):
        decode(image, max_pixels=1_000_000)


def test_a_closed_image_is_not_reported_as_damaged(tmp_path) -> None:
    coloured_image("red", 0).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pass
    with pytest.raises(ImageError, match="it cannot be read any more"):
        decode(image)


def test_nothing_is_changed_for_the_whole_process() -> None:
    script = """
import gc, logging, socket, sys, warnings
from PIL import Image
before = Image.MAX_IMAGE_PIXELS
import alexnet
alexnet.Classifier
assert Image.MAX_IMAGE_PIXELS == before is not None
assert not [each for each in warnings.filters if "PIL" in str(each)]
assert not logging.getLogger("PIL").handlers
assert gc.isenabled()
assert socket.getdefaulttimeout() is None
"""
    subprocess.run([sys.executable, "-c", script], check=True)
