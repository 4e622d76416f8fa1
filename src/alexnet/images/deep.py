"""Numbers of more than eight bits as brightness, where Pillow would clip them, or show the upper eight alone."""

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
Again = Callable[[], ImageFile.ImageFile]

_GDAL_NODATA = 42113
_CODESTREAM = b"\xff\x4f\xff\x51"
# Of colours whose upper eight bits are all less, four bits or more may be unused.
_DARK = 17
_FEW_BITS = "colours of 16 bits of which 12 at most are used"
_WIDE = ("RGB;16", "RGBX;16", "RGBA;16", "LA;16", "R;16", "G;16", "B;16", "A;16")


@dataclass(frozen=True)
class Numbers:
    """What a file says of its numbers, beyond Pillow's mode.

    Attributes:
        kind: what they are, where Pillow takes them for another kind of the same size.
        zero: what stands for 0.
        white: the largest number that there can be; None where the file does not say.
        missing: what stands for no value; None where all are.
        is_inverted: whether 0 is white.
    """

    kind: type[np.generic] | None = None
    zero: int = 0
    white: int | None = None
    missing: float | None = None
    is_inverted: bool = False


def numbers_of(image: Image.Image) -> Numbers:
    """Return what a file says of its numbers; to be called before they are loaded."""
    if isinstance(image, TiffImageFile):
        return _of_tiff(image)
    if isinstance(image, ImageFile.ImageFile) and image.format == "PPM" and image.mode == "I" and image.tile:
        # Pillow has stretched them to 16 bits, unless they are of 16 bits.
        args = image.tile[0].args
        return Numbers(white=65535 if isinstance(args, tuple) and args[-1] != 65535 else None)
    if isinstance(image, ImageFile.ImageFile) and image.format == "JPEG2000" and image.mode == "I;16":
        # Pillow has stretched them to 16 bits, and added half of that to signed ones.
        bits, is_signed = _of_jpeg2000(image)
        return Numbers(zero=32768 * is_signed, white=(65535 >> is_signed) if bits < 16 else None)
    if image.format == "HEIF" and image.mode.startswith("I;16"):
        return Numbers(white=65535)  # libheif has stretched them
    return Numbers()


def _of_tiff(image: TiffImageFile) -> Numbers:
    tags = image.tag_v2
    bits, number = tags.get(BITSPERSAMPLE, (1,))[0], tags.get(SAMPLEFORMAT, (1,))[0]
    kinds: dict[tuple[str, int, int], type[np.generic]] = {("L", 8, 2): np.int8, ("I", 32, 1): np.uint32}
    kind = kinds.get((image.mode, bits, number))
    is_deep = image.mode[0] in "IF" or kind is not None
    try:
        missing = float(tags[_GDAL_NODATA])
    except (KeyError, ValueError, TypeError):
        missing = None
    return Numbers(
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


def is_deep(image: Image.Image, numbers: Numbers) -> bool:
    """Return whether an image is grey, of numbers that are no bytes from 0 to 255."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or numbers.kind is not None


def deep_to_rgb(image: Image.Image, numbers: Numbers) -> Image.Image:
    """Scale integers by their depth and floats by their range, where ``convert("RGB")`` would clip both to white.

    Cameras and scanners store 12 bits in 16, and formats do not say so: the depth is taken to be the least of 8, 12 and
    16 that holds the largest value. More steps would make images of one set differ in brightness more often. Of
    integers that are negative or have more than 16 bits, nobody could say which is white: they are scaled by their
    range, as floats are.
    """
    stored = np.asarray(image)
    values = (stored if numbers.kind is None else stored.view(numbers.kind)).astype(np.float32)
    if numbers.missing is not None:
        is_missing = values == np.float32(numbers.missing)
        values[is_missing] = values[~is_missing].min(initial=np.inf)
    if image.mode == "F" or numbers.missing is not None:
        values = np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
    if numbers.zero:
        values -= numbers.zero
    low, high = _floats(values) if image.mode == "F" else _integers(values, numbers)
    # In place: of an image of a hundred million pixels, each copy would be 400 MB.
    if high - low > float(np.finfo(np.float32).max):
        values, low, high = np.multiply(values, 0.5, out=values), low / 2, high / 2
    values -= low
    values *= 255 / (high - low)
    grey = values.clip(0, 255, out=values).round(out=values).astype(np.uint8)
    return Image.fromarray(255 - grey if numbers.is_inverted else grey).convert("RGB")


def _floats(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    return min(float(values.min()), 0.0), max(float(values.max()), 1.0)


def _integers(values: npt.NDArray[np.float32], numbers: Numbers) -> tuple[float, float]:
    least, largest = float(values.min()), float(values.max())
    if least < 0:
        return least, max(largest, least + 1)
    return 0.0, float(numbers.white or _white(largest) or largest)


def _white(largest: float) -> int | None:
    return next((2**bits - 1 for bits in (8, 12, 16) if largest < 2**bits), None)


def is_wide(image: Image.Image) -> bool:
    """Return whether an image has colours of 16 bits, of which Pillow loads the upper eight; none loaded yet."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    if image.format == "JPEG2000":
        return image.mode in ("LA", "RGB", "RGBA") and _of_jpeg2000(image)[0] > 12
    if image.format == "PPM":
        return image.mode == "RGB" and _raw_mode(image.tile[0])[1:] == (65535,)
    return str(_raw_mode(image.tile[0])[0])[:-1] in _WIDE


def use_all_bits(image: Image.Image, again: Again | None) -> None:
    """Scale colours of 12 or 8 bits in 16 by their depth, as greys are; in place. Others stay as Pillow loads them.

    Args:
        image: one that ``is_wide``, loaded.
        again: opens it once more; None where it was opened elsewhere.

    Raises:
        RefusedError: the lower bits cannot be had.
    """
    colours = image.getextrema()[: 1 if image.mode == "LA" else 3]
    brightest = max(int(largest) for _, largest in colours)  # type: ignore[misc]
    if brightest >= _DARK:
        return
    if again is None:
        if brightest:
            raise RefusedError(f"{_FEW_BITS}, and Pillow gives the upper eight; give the file instead")
        return
    opened = again()
    if not _has_both_halves(opened):
        if brightest or image.format == "TIFF":
            raise RefusedError(f"{_FEW_BITS}, which cannot be read here; save it as PNG")
        return
    words = _words(opened, again())
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
        # Of planes, it gives the upper eight bits whatever it is asked for.
        return bool(opened.tag_v2.get(PLANAR_CONFIGURATION) != 2)
    return codec not in ("jpeg2k", "ppm_plain")


def _scaled(words: npt.NDArray[np.uint16], white: int | None) -> npt.NDArray[np.uint8]:
    assert white is not None
    # By a table: as floats, an image would take twelve bytes a number on the way.
    brightness = (np.arange(white + 1, dtype=np.float32) * (255 / white)).round().astype(np.uint8)
    return brightness[words]


def _words(first: ImageFile.ImageFile, second: ImageFile.ImageFile) -> npt.NDArray[np.uint16]:
    """Return all 16 bits, ``(H, W, 3)`` or ``(H, W, 4)``, by unpacking the same bytes in both orders."""
    if _raw_mode(first.tile[0])[0] == "LA;16B":
        # Pillow knows no other order of these, but four bytes a pixel are also RGBA.
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
