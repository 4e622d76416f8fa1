"""Samples of more than eight bits: each image is a ramp from black to white, in many kinds of files."""

import io
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import ImageError
from alexnet.images import deep
from alexnet.images.decoding import decode, measure, read
from alexnet.images.tiff import other_half

from .files import chunk, png_of, ppm_of, tiff_of

RAMP = np.linspace(0, 1, 24 * 32).reshape(24, 32)
GREY = np.repeat(RAMP[..., None] * 255, 3, axis=2)
# Three ramps, each from another side.
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)


def grey(low: float, high: float, kind: type) -> np.ndarray:
    values = RAMP * high + (1 - RAMP) * low
    return (values if issubclass(kind, np.floating) else values.round()).astype(kind)


def colours(white: int, *more: int) -> np.ndarray:
    """Return RGB up to ``white``, and constant extra bands."""
    bands = [np.full((24, 32, 1), number) for number in more]
    return np.concatenate([(COLOURS * white).round(), *bands], axis=2).astype(np.uint16)


def off_by(content: bytes, wanted: np.ndarray) -> float:
    """Return the largest difference between an image and the expected one, out of 255."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return float(np.abs(decode(content) - wanted).max())


def reason(content: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(content)
    assert len(str(caught.value)) < 300
    return caught.value.reason


every_way = pytest.mark.parametrize("how", [{}, {"deflated": True}, {"order": ">"}, {"order": ">", "deflated": True}])


@every_way
@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (-1024, 3071, np.int16),  # CT
        (-32768, 32767, np.int16),
        (0, 4095, np.int16),
        (0, 255, np.uint16),
        (0, 4095, np.uint16),
        (0, 65535, np.uint16),
        (-128, 127, np.int8),
        (-2_000_000_000, 2_000_000_000, np.int32),
        (0, 4095, np.int32),
        (0, 100_000, np.int32),
        (-1, 1, np.float32),
        (0, 1, np.float32),
        (0, 255, np.float32),
        (0, 65535, np.float32),
        (-3.3e38, 3.3e38, np.float32),
    ],
)
def test_grey_tiffs_reach_from_black_to_white(how, low, high, kind) -> None:
    assert off_by(tiff_of(grey(low, high, kind), **how), GREY) <= 1


@pytest.mark.parametrize("high", [4095, 100_000, 2**31 + 5, 2**32 - 1])
@pytest.mark.parametrize("deflated", [False, True])
def test_unsigned_32_bit_samples_stay_positive(high, deflated) -> None:
    assert off_by(tiff_of(grey(0, high, np.uint32), deflated=deflated), GREY) <= 1


def test_dark_8_bit_samples_stay_dark() -> None:
    assert off_by(tiff_of(grey(0, 60, np.uint16)), GREY * 60 / 255) <= 1
    assert off_by(tiff_of(grey(0, 60, np.int8)), GREY * 60 / 255) <= 1


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("white", [255, 4095])
def test_zero_may_be_white(deflated, kind, white) -> None:
    if kind is np.uint8:
        white = 255
    values = white - grey(0, white, kind)
    assert off_by(tiff_of(values.astype(kind), photometric=0, deflated=deflated), GREY) <= 1


def test_nan_is_black_and_spoils_nothing() -> None:
    values = grey(0, 1, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    assert off_by(tiff_of(values), GREY) <= 1


@pytest.mark.parametrize(("value", "seen"), [(5.0, 255), (0.0, 0), (-5.0, 0)])
def test_floats_that_are_all_equal(value, seen) -> None:
    assert set(np.unique(decode(tiff_of(np.full((8, 8), value, np.float32))))) == {seen}


@pytest.mark.parametrize("value", [-1024, 0])
def test_integers_that_are_all_equal_are_black(value) -> None:
    assert off_by(tiff_of(np.full((8, 8), value, np.int16)), np.zeros((8, 8, 3))) == 0


@pytest.mark.parametrize(("kind", "nothing"), [(np.int16, -32768), (np.float32, -3.4028234663852886e38)])
def test_missing_values_do_not_count(kind, nothing) -> None:
    values = grey(-1000, 3000, kind)
    values[0, 1:] = nothing
    seen = decode(tiff_of(values, tags={42113: f"{nothing}\0".encode()}))
    assert np.abs(seen[1:] - GREY[1:]).max() <= 1
    assert seen[0].max() == 0


@every_way
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("more", [(), (65535,)])
def test_tiffs_of_16_bit_colours_keep_their_upper_bits(how, planar, more) -> None:
    tags = {338: (2,)} if more else {}
    assert off_by(tiff_of(colours(65535, *more), planar=planar, tags=tags, **how), COLOURS * 255) <= 1


@every_way
@pytest.mark.parametrize("white", [4095, 255])
@pytest.mark.parametrize("extra", [None, 0, 2])
def test_tiffs_of_12_bits_in_16_bit_colours_are_not_black(how, white, extra) -> None:
    values = colours(white) if extra is None else colours(white, 65535)
    tags = {} if extra is None else {338: (extra,)}
    assert off_by(tiff_of(values, tags=tags, **how), COLOURS * 255) <= 1
    if not how.get("deflated"):
        assert off_by(tiff_of(values, tags=tags, planar=True, **how), COLOURS * 255) <= 1
    else:  # for planes, libtiff gives the upper bits only
        assert "at most 12 of them in use" in reason(tiff_of(values, tags=tags, planar=True, **how))


def test_full_16_bit_colours_are_unchanged() -> None:
    """To the byte: the upper eight bits, as Pillow gives them."""
    values = np.random.default_rng(0).integers(0, 65536, (24, 32, 3)).astype(np.uint16)
    for content in (tiff_of(values), png_of(values)):
        assert np.array_equal(decode(content), values >> 8)


@pytest.mark.parametrize("white", [65535, 4095, 255])
def test_pngs_of_16_bits(white) -> None:
    clear = colours(white, 0)
    assert off_by(png_of(grey(0, white, np.uint16)[..., None]), GREY) <= 1
    assert off_by(png_of(colours(white)), COLOURS * 255) <= 1
    assert off_by(png_of(colours(white, white)), COLOURS * 255) <= 1
    assert off_by(png_of(colours(white, 65535)), COLOURS * 255) <= 1
    assert off_by(png_of(clear), np.full_like(clear[..., :3], 255)) == 0
    with_transparency = np.stack([grey(0, white, np.uint16), np.full((24, 32), 65535)], axis=-1)
    assert off_by(png_of(with_transparency), GREY) <= 1


def test_half_transparent_colours_of_12_bits_are_laid_on_white() -> None:
    assert off_by(png_of(colours(4095, 32768)), COLOURS * 127.5 + 127.5) <= 1.5


def test_a_black_image_stays_black() -> None:
    for content in (png_of(colours(0)), tiff_of(colours(0)), ppm_of(colours(0), 65535)):
        assert decode(content).max() == 0


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("maxval", [1023, 4095, 65535])
def test_ppms_state_their_white(plain, maxval) -> None:
    assert off_by(ppm_of(colours(maxval), maxval, plain=plain), COLOURS * 255) <= 1
    assert off_by(ppm_of(grey(0, maxval, np.uint16), maxval, plain=plain), GREY) <= 1


@pytest.mark.parametrize("plain", [False, True])
def test_a_dark_ppm_with_its_white_stays_dark(plain) -> None:
    content = ppm_of(grey(0, 50, np.uint16), 1023, plain=plain)
    assert off_by(content, GREY * 50 / 1023) <= 1


@pytest.mark.parametrize("white", [4095, 255])
def test_ppms_of_12_bits_in_16(white) -> None:
    assert off_by(ppm_of(grey(0, white, np.uint16), 65535), GREY) <= 1
    assert off_by(ppm_of(colours(white), 65535), COLOURS * 255) <= 1
    assert "at most 12 of them in use" in reason(ppm_of(colours(white), 65535, plain=True))


def jpeg2000_of(values: np.ndarray, is_signed: bool = False, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG2000", **options)
    content = bytearray(buffer.getvalue())
    if is_signed:  # in the codestream, and in the box before it
        content[content.find(b"\xff\x4f\xff\x51") + 42] |= 0x80
        if (box := content.find(b"ihdr")) >= 0:
            content[box + 14] |= 0x80
    return bytes(content)


@pytest.mark.parametrize("no_jp2", [False, True])
@pytest.mark.parametrize(("low", "high"), [(-1024, 3071), (0, 4095), (-32768, 32767)])
def test_signed_jpegs_2000(no_jp2, low, high) -> None:
    content = jpeg2000_of(grey(low + 32768, high + 32768, np.uint16), is_signed=True, no_jp2=no_jp2)
    assert off_by(content, GREY) <= 1


@pytest.mark.parametrize("white", [4095, 65535])
def test_jpegs_2000(white) -> None:
    assert off_by(jpeg2000_of(grey(0, white, np.uint16)), GREY) <= 1


def test_a_dark_jpeg_2000_is_refused(monkeypatch) -> None:
    dark = jpeg2000_of((COLOURS * 15).astype(np.uint8))
    assert decode(dark).max() < 20, "eight bits are what they are"
    monkeypatch.setattr(deep, "_of_jpeg2000", lambda image: (16, False))
    assert "at most 12 of them in use, which cannot be read here; save it as PNG" in reason(dark)
    assert decode(jpeg2000_of((COLOURS * 255).astype(np.uint8))).max() > 250


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tiff_of(np.zeros((8, 8, 13), np.uint16), photometric=1), "a TIFF of 13 bands of 16 bits"),
        (tiff_of(np.zeros((8, 8, 5), np.uint16), photometric=1), "a TIFF of 5 bands of 16 bits"),
        (tiff_of(np.zeros((8, 8, 2), np.uint16)), "a TIFF of 2 bands of 16 bits"),
        (tiff_of(np.zeros((8, 8, 3), np.float32)), "a TIFF of 3 bands of 32 bits in floating point"),
        (tiff_of(np.zeros((8, 8), np.float64)), "a TIFF of 1 band of 64 bits in floating point"),
        (tiff_of(np.zeros((8, 8), np.float16)), "a TIFF of 1 band of 16 bits in floating point"),
        (tiff_of(np.zeros((8, 8), np.uint64)), "a TIFF of 1 band of 64 bits"),
        (tiff_of(np.zeros((8, 8), np.complex64)), "a TIFF of 1 band of 64 bits in complex floating point"),
        (tiff_of(np.zeros((8, 8, 3), np.int16)), "a TIFF of 3 bands of 16 bits, signed"),
        (tiff_of(np.zeros((8, 8, 3), np.uint16), photometric=8), "a TIFF of 3 bands of 16 bits in CIE L*a*b*"),
        (tiff_of(np.zeros((8, 8), np.uint16), photometric=3), "a TIFF of 1 band of 16 bits with a palette"),
        (tiff_of(np.zeros((8, 8, 4), np.uint16), photometric=5, planar=True), "a TIFF of 4 bands of 16 bits in CMYK"),
        (tiff_of(np.zeros((8, 8), np.uint8), tags={259: (34712,)}), "a TIFF of 1 band of 8 bits, compressed by method"),
        (b"MM\0+" + bytes(60), "a big-endian BigTIFF"),
    ],
)
def test_unreadable_tiffs_are_described(content, words, caplog) -> None:
    assert reason(content).startswith(words)
    assert ", which cannot be read here; save" in reason(content)
    assert not caplog.records


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("values", "photometric", "tags"),
    [
        (grey(0, 255, np.uint8)[..., None].repeat(2, axis=2), 1, {338: (2,)}),  # grey with transparency
        (grey(0, 255, np.uint8)[..., None].repeat(2, axis=2), 1, {338: (1,)}),
        (grey(0, 255, np.uint8)[..., None].repeat(2, axis=2), 3, {338: (2,), 320: tuple(range(256)) * 3}),
        (colours(100).astype(np.uint8), 8, {}),
    ],
)
def test_planes_that_pillow_does_not_join_are_refused(values, photometric, tags, deflated) -> None:
    """Pillow leaves all planes but one empty: white pages, and Lab in false colours."""
    content = tiff_of(values, photometric=photometric, tags=tags, deflated=deflated, planar=True)
    assert " in planes, which cannot be read here; save" in reason(content)


@pytest.mark.parametrize("tags", [{254: (1,), 50706: (1,)}, {254: (1,), 330: (8,)}, {262: (32803,)}, {262: (34892,)}])
def test_a_raw_file_is_recognised_by_its_tags(tags) -> None:
    assert reason(tiff_of(np.zeros((8, 8, 3), np.uint8), tags=tags)) == "a camera's raw file; convert it to JPEG"


@pytest.mark.parametrize(
    "tags", [{50706: (1,)}, {254: (0,), 50706: (1,)}, {254: (0,), 330: (8,)}, {254: (1,)}, {254: (2,)}]
)
def test_a_full_image_is_not_a_raw_file(tags) -> None:
    """Programs that develop raw files may copy their tags, and scanners number their pages."""
    values = (COLOURS * 255).round().astype(np.uint8)
    assert off_by(tiff_of(values, tags=tags), values) == 0


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("planar", [False, True])
def test_further_bands_of_bytes_are_left_out(deflated, planar) -> None:
    values = (COLOURS * 255).round().astype(np.uint8)
    more = np.concatenate([values, values[..., :1]], axis=2)
    assert off_by(tiff_of(more, tags={338: (0,)}, planar=planar, deflated=deflated), values) == 0


@pytest.mark.parametrize("unit", [257, 1])
def test_palettes_of_16_bits_and_of_8(unit) -> None:
    content = tiff_of((RAMP * 255).astype(np.uint8), photometric=3, tags={320: tuple(unit * i for i in range(256)) * 3})
    assert off_by(content, GREY) <= 1


def test_one_band_may_be_stored_as_a_plane() -> None:
    for kind, white in ((np.uint8, 255), (np.uint16, 65535)):
        assert off_by(tiff_of(grey(0, white, kind), planar=True), GREY) <= 1


def test_inks_of_16_bits() -> None:
    inks = 65535 - colours(65535)
    content = tiff_of(np.concatenate([inks, np.zeros_like(inks[..., :1])], axis=2), photometric=5)
    assert off_by(content, COLOURS * 255) <= 1


def test_premultiplied_grey_is_laid_on_white() -> None:
    clear = tiff_of(np.zeros((8, 8, 2), np.uint8), tags={338: (1,)})
    assert decode(clear).min() == 255


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_greys_of_few_bits_reach_white(bits) -> None:
    n_levels = 2**bits
    row = int("".join(f"{level:0{bits}b}" for level in range(n_levels)).ljust(8, "0"), 2)
    content = zlib.compress(b"\0" + row.to_bytes(max(1, n_levels * bits // 8), "big"))
    header = struct.pack(">IIBBBBB", n_levels, 1, bits, 0, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    assert decode(image)[0, :, 0].tolist() == [255 * level // (n_levels - 1) for level in range(n_levels)]


def test_an_opened_image_equals_its_file_or_is_refused() -> None:
    for content in (tiff_of(65535 - grey(0, 65535, np.uint16), photometric=0), jpeg2000_of(grey(0, 4095, np.uint16))):
        with Image.open(io.BytesIO(content)) as image:
            assert np.array_equal(decode(image), decode(content))
            assert np.array_equal(decode(image), decode(content)), "loaded by now"
    with (
        Image.open(io.BytesIO(png_of(colours(4095)))) as image,
        pytest.raises(ImageError, match="Pillow gives the upper eight only; give the file instead"),
    ):
        decode(image)


def test_the_lower_bits_of_a_rotated_image(tmp_path) -> None:
    content = tiff_of(colours(4095), tags={274: (6,)})
    (tmp_path / "a.tif").write_bytes(content)
    for given in (content, tmp_path / "a.tif"):
        assert np.abs(decode(given) - np.rot90(COLOURS * 255, -1)).max() <= 1


def test_the_stored_format_and_mode_are_returned() -> None:
    assert read(png_of(colours(4095))).mode == "RGB"
    assert read(tiff_of(grey(-1024, 3071, np.int16))).mode == "I"
    assert measure(png_of(colours(4095))) == (32, 24)


@pytest.mark.parametrize("order", ["little", "big"])
def test_samples_in_the_byte_order_of_the_machine(monkeypatch, order) -> None:
    monkeypatch.setattr(sys, "byteorder", order)
    assert other_half("RGB;16N") == {"little": "RGB;16B", "big": "RGB;16L"}[order]
