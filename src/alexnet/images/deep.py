"""Samples of more than eight bits as brightness. Pillow alone would clip them, or use the upper eight bits only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    TiffImageFile,
)

from alexnet.images.signatures import RefusedError
from alexnet.images.tiff import other_half

# Opens an image's file once more.
Reopen = Callable[[], ImageFile.ImageFile]

_GDAL_NODATA = 42113
_CODESTREAM = b"\xff\x4f\xff\x51"
# If the upper eight bits of all colours are below this, four bits or more may be unused.
_DARK = 17
_FEW_BITS = "colours of 16 bits, at most 12 of them in use"
_WIDE = ("RGB;16", "RGBX;16", "RGBA;16", "LA;16", "R;16", "G;16", "B;16", "A;16")


@dataclass(frozen=True)
class SampleInfo:
    """What a file says about its samples, beyond Pillow's mode.

    Attributes:
        kind: their type, where Pillow assumes another one of the same size.
        zero: the sample that means 0.
        white: the largest possible sample; None where the file does not say.
        missing: the sample that means "no value"; None where there is none.
        is_inverted: whether 0 is white.
    """

    kind: type[np.generic] | None = None
    zero: int = 0
    white: int | None = None
    missing: float | None = None
    is_inverted: bool = False


def sample_info(image: Image.Image) -> SampleInfo:
    """Return what a file says about its samples. Call it before the image is loaded."""
    if isinstance(image, TiffImageFile):
        return _of_tiff(image)
    if isinstance(image, ImageFile.ImageFile) and image.format == "PPM" and image.mode == "I" and image.tile:
        # Pillow stretches samples of fewer bits to 16.
        args = image.tile[0].args
        return SampleInfo(white=65535 if isinstance(args, tuple) and args[-1] != 65535 else None)
    if isinstance(image, ImageFile.ImageFile) and image.format == "JPEG2000" and image.mode == "I;16":
        # Pillow stretches them to 16 bits, and adds 32,768 to signed ones.
        bits, is_signed = _of_jpeg2000(image)
        return SampleInfo(zero=32768 * is_signed, white=(65535 >> is_signed) if bits < 16 else None)
    if image.format == "HEIF" and image.mode.startswith("I;16"):
        return SampleInfo(white=65535)  # libheif stretches them
    return SampleInfo()


def _of_tiff(image: TiffImageFile) -> SampleInfo:
    tags = image.tag_v2
    bits, number = tags.get(BITSPERSAMPLE, (1,))[0], tags.get(SAMPLEFORMAT, (1,))[0]
    kinds: dict[tuple[str, int, int], type[np.generic]] = {("L", 8, 2): np.int8, ("I", 32, 1): np.uint32}
    kind = kinds.get((image.mode, bits, number))
    is_deep = image.mode[0] in "IF" or kind is not None
    try:
        missing = float(tags[_GDAL_NODATA])
    except (KeyError, ValueError, TypeError):
        missing = None
    return SampleInfo(
        kind=kind,
        white=4095 if bits == 12 else None,
        missing=missing,
        is_inverted=is_deep and tags.get(PHOTOMETRIC_INTERPRETATION) == 0,
    )


def _of_jpeg2000(image: ImageFile.ImageFile) -> tuple[int, bool]:
    """Return the number of bits of the first channel, and whether it is signed (ISO 15444-1, A.5.1)."""
    if image.fp is None:
        return 16, False
    at = image.fp.tell()
    image.fp.seek(0)
    beginning = image.fp.read(1 << 20)
    image.fp.seek(at)
    start = beginning.find(_CODESTREAM)
    if start < 0:
        return 16, False
    depth = beginning[start + 42]
    return (depth & 0x7F) + 1, bool(depth >> 7)


def is_deep(image: Image.Image, info: SampleInfo) -> bool:
    """Return whether an image is grey, with samples other than bytes from 0 to 255."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or info.kind is not None


def deep_to_rgb(image: Image.Image, info: SampleInfo) -> Image.Image:
    """Scale integers by their depth and floats by their range. ``convert("RGB")`` would clip both to white.

    Cameras and scanners store 12 bits in 16 without saying so. So the depth is the smallest of 8, 12 and 16 bits that
    holds the largest value. More steps would make images of one set differ in brightness more often. For integers that
    are negative or have more than 16 bits, white is unknown: they are scaled by their range, like floats.
    """
    stored = np.asarray(image)
    values = (stored if info.kind is None else stored.view(info.kind)).astype(np.float32)
    if info.missing is not None:
        is_missing = values == np.float32(info.missing)
        values[is_missing] = values[~is_missing].min(initial=np.inf)
    if image.mode == "F" or info.missing is not None:
        values = np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
    if info.zero:
        values -= info.zero
    low, high = _float_range(values) if image.mode == "F" else _integer_range(values, info)
    # In place: each copy of an image of a hundred million pixels would take 400 MB.
    if high - low > float(np.finfo(np.float32).max):
        values, low, high = np.multiply(values, 0.5, out=values), low / 2, high / 2
    values -= low
    values *= 255 / (high - low)
    grey = values.clip(0, 255, out=values).round(out=values).astype(np.uint8)
    return Image.fromarray(255 - grey if info.is_inverted else grey).convert("RGB")


def _float_range(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    return min(float(values.min()), 0.0), max(float(values.max()), 1.0)


def _integer_range(values: npt.NDArray[np.float32], info: SampleInfo) -> tuple[float, float]:
    least, largest = float(values.min()), float(values.max())
    if least < 0:
        return least, max(largest, least + 1)
    return 0.0, float(info.white or _white(largest) or largest)


def _white(largest: float) -> int | None:
    return next((2**bits - 1 for bits in (8, 12, 16) if largest < 2**bits), None)


def has_16_bit_colours(image: Image.Image) -> bool:
    """Return whether an image that is not loaded yet has colours of 16 bits: Pillow loads the upper eight only."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    if image.format == "JPEG2000":
        return image.mode in ("LA", "RGB", "RGBA") and _of_jpeg2000(image)[0] > 12
    if image.format == "PPM":
        return image.mode == "RGB" and _raw_mode(image.tile[0])[1:] == (65535,)
    return str(_raw_mode(image.tile[0])[0])[:-1] in _WIDE


def use_all_bits(image: Image.Image, reopen: Reopen | None) -> None:
    """Scale colours of 12 or 8 bits in 16 by their depth, in place, as greys are. Others stay as Pillow loads them.

    Args:
        image: one with ``has_16_bit_colours``, loaded.
        reopen: opens its file once more; None if the caller opened it.

    Raises:
        RefusedError: the lower bits cannot be read.
    """
    colours = image.getextrema()[: 1 if image.mode == "LA" else 3]
    brightest = max(int(largest) for _, largest in colours)  # type: ignore[misc]
    if brightest >= _DARK:
        return
    if reopen is None:
        if brightest:
            raise RefusedError(f"{_FEW_BITS}, but Pillow gives the upper eight only; give the file instead")
        return
    opened = reopen()
    if not _has_both_halves(opened):
        if brightest or image.format == "TIFF":
            raise RefusedError(f"{_FEW_BITS}, which cannot be read here; save it as PNG")
        return
    words = _words(opened, reopen())
    white = _white(float(words[..., :3].max()))
    if white == 65535:
        return
    scaled = [_scaled(words[..., :3], white)]
    if words.shape[2] == 4:
        scaled.append(_scaled(words[..., 3:], _white(float(words[..., 3:].max()))))
    image.paste(Image.fromarray(np.concatenate(scaled, axis=2)))


def _has_both_halves(opened: ImageFile.ImageFile) -> bool:
    codec = opened.tile[0].codec_name
    if isinstance(opened, TiffImageFile) and codec == "libtiff":
        # For separate planes, libtiff always gives the upper eight bits.
        return bool(opened.tag_v2.get(PLANAR_CONFIGURATION) != 2)
    return codec not in ("jpeg2k", "ppm_plain")


def _scaled(words: npt.NDArray[np.uint16], white: int | None) -> npt.NDArray[np.uint8]:
    assert white is not None
    # By a table: as floats, an image would take twelve bytes a sample on the way.
    brightness = (np.arange(white + 1, dtype=np.float32) * (255 / white)).round().astype(np.uint8)
    return brightness[words]


def _words(first: ImageFile.ImageFile, second: ImageFile.ImageFile) -> npt.NDArray[np.uint16]:
    """Return all 16 bits, ``(H, W, 3)`` or ``(H, W, 4)``, by unpacking the same bytes in both orders."""
    if _raw_mode(first.tile[0])[0] == "LA;16B":
        # Pillow has no other byte order for this mode, but four bytes a pixel can also be read as RGBA.
        first.tile = [tile._replace(args="RGBA") for tile in first.tile]
        first.load()
        halves = np.asarray(first)
        return _joined(halves[..., 0::2], halves[..., 1::2])[..., [0, 0, 0, 1]]
    if first.format == "PPM":
        for image in (first, second):
            image.tile = [tile._replace(codec_name="raw", args=("RGB;16B", 0, 1)) for tile in image.tile]
    second.tile = [tile._replace(args=_other_half(tile)) for tile in second.tile]
    first.load()
    second.load()
    return _joined(np.asarray(first), np.asarray(second))


def _joined(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    words = upper.astype(np.uint16)
    words <<= 8
    words |= lower
    return words


def _raw_mode(tile: Any) -> tuple[Any, ...]:
    return tile.args if isinstance(tile.args, tuple) else (tile.args,)


def _other_half(tile: Any) -> Any:
    mode, *others = _raw_mode(tile)
    return (other_half(mode), *others) if isinstance(tile.args, tuple) else other_half(mode)
