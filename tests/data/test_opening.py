import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from alexnet.data.image import decode, identify, measure, read
from alexnet.errors import PictureError

from ..conftest import coloured_picture


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds almost nothing: it cannot be decoded, only measured."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b"")


def icon_of(*pictures: tuple[int, bytes]) -> bytes:
    """Return an icon of pictures, each with the side that the icon's table claims; 0 is 256."""
    offset = 6 + 16 * len(pictures)
    table = b""
    for side, content in pictures:
        table += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(content), offset)
        offset += len(content)
    return struct.pack("<HHH", 0, 1, len(pictures)) + table + b"".join(content for _, content in pictures)


def test_a_bomb_inside_an_icon_is_measured_not_decoded() -> None:
    """The table of an icon says 256x256 at most, and Pillow decodes what is inside to learn how large it is."""
    icon = icon_of((0, png_of(20_000, 20_000)))
    assert measure(icon) == (20_000, 20_000)
    assert identify(icon) == "ICO"
    with pytest.raises(PictureError, match="it claims 20000x20000 pixels"):
        read(icon)


def test_an_icon_cannot_show_another_picture_than_the_one_that_was_measured() -> None:
    small = io.BytesIO()
    coloured_picture("red", 0, (48, 48)).save(small, "PNG")
    icon = icon_of((0, small.getvalue()), (48, png_of(20_000, 20_000)))
    assert decode(icon).shape == (48, 48, 3)


@pytest.mark.parametrize("kind", ["png", "bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_icons_look_as_pillow_shows_them(kind, mode) -> None:
    picture = coloured_picture("blue", 1, (64, 64)).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize((64, 64)))
    buffer = io.BytesIO()
    picture.save(buffer, "ICO", sizes=[(16, 16), (48, 48)], bitmap_format=kind)
    page = Image.new("RGB", (48, 48), (255, 255, 255))
    with Image.open(buffer) as theirs:
        shown = theirs.convert("RGBA")
        page.paste(shown, mask=shown)
        assert read(buffer.getvalue()).mode == theirs.mode
    assert np.array_equal(decode(buffer.getvalue()), np.asarray(page))


def test_more_pixels_than_pillow_takes_are_a_matter_of_one_call(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "PPM"):
        buffer = io.BytesIO()
        Image.new("RGB", (100, 100)).save(buffer, kind)
        assert decode(buffer.getvalue()).shape == (100, 100, 3), kind
        with pytest.raises(PictureError, match="100x100 pixels, more than the 9,999 allowed"):
            decode(buffer.getvalue(), max_pixels=9_999)


def test_a_frame_that_pillow_refuses_says_so() -> None:
    """Of a GIF whose first frame is to be cleared, Pillow makes an empty one of that size while opening it."""
    screen = b"GIF89a" + struct.pack("<HH", 10, 10) + b"\x80\0\0" + bytes(6)
    frame = b"!\xf9\x04\x08\0\0\0\0," + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\x02\x02\x44\x01\0;"
    with pytest.raises(PictureError, match="Pillow refuses it") as caught:
        decode(screen + frame)
    assert "damaged" not in caught.value.reason


def test_an_opened_picture_is_measured_before_it_is_decoded() -> None:
    with (
        Image.open(io.BytesIO(png_of(3_000, 3_000))) as picture,
        pytest.raises(PictureError, match="it claims 3000x3000 pixels"),
    ):
        decode(picture, max_pixels=1_000_000)


def test_a_closed_picture_is_not_called_damaged(tmp_path) -> None:
    coloured_picture("red", 0).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pass
    with pytest.raises(PictureError, match="it cannot be read any more"):
        decode(picture)


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
