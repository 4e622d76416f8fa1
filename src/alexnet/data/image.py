"""The one decoder: a file or bytes in, upright RGB uint8 out.

Checking, preparing, training, evaluating and predicting all read pictures through ``decode`` and shrink them through
``squash``, so a deployed network sees what the trained one saw. No torch here: a served model may run without it.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from alexnet.errors import PictureError

Pixels = npt.NDArray[np.uint8]

# What Pillow reads and people keep photos in. Other files in a class folder are counted, never opened.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".mpo", ".tga"}
)
# Pillow's own limit, about 179 million: anything larger claims more memory than a photo needs.
MAX_PIXELS = 2 * (1 << 30) // 12
WHITE = (255, 255, 255)
# The mean and spread of ImageNet's pixels, in [0, 1], as most published networks use.
# Departure: the paper (section 2) subtracts the mean picture of the training set and does not divide.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Pillow remarks on odd metadata without saying in which file; the picture itself is fine, or decode refuses it by name.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(source: Path | str | bytes, *, min_side: int | None = None, where: str | None = None) -> Pixels:
    """Read one picture upright as RGB.

    The first frame is taken of an animation; transparent pixels are laid on white; deep greyscale is scaled by its
    depth.

    Args:
        source: a path, or the file's bytes.
        min_side: a JPEG may be decoded at a half, quarter or eighth of its size while no side falls below this many
            pixels, which is several times faster for large photos.
        where: how errors name the picture; the path where not given.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        PictureError: the file is missing, empty, damaged, too large, or not a picture.
    """
    where = where or (str(source) if isinstance(source, Path | str) else "given as bytes")
    try:
        with _open(source) as picture:
            _check_size(picture)
            if min_side is not None:
                picture.draft(None, (min_side, min_side))
            return _to_pixels(picture)
    except _RefusedError as refused:
        raise PictureError(where, str(refused)) from None
    except Exception as error:  # hostile bytes can raise nearly anything inside Pillow; each means "cannot be read"
        raise PictureError(where, _reason(source, error)) from error


def decode_opened(picture: Image.Image, where: str) -> Pixels:
    """Return a picture that Pillow has opened already as ``decode`` would return its file.

    Raises:
        PictureError: the picture is damaged.
    """
    try:
        return _to_pixels(picture)
    except Exception as error:
        raise PictureError(where, f"damaged ({error})") from error


def _to_pixels(picture: Image.Image) -> Pixels:
    return np.asarray(_to_rgb(_upright(picture)))


def measure(source: Path | str | bytes) -> tuple[int, int]:
    """Return a picture's width and height as stored, from its header alone.

    Raises:
        PictureError: there is no header to read.
    """
    try:
        with _open(source) as picture:
            _check_size(picture)
            return picture.size
    except _RefusedError as refused:
        raise PictureError(str(source), str(refused)) from None
    except Exception as error:
        raise PictureError(str(source), _reason(source, error)) from error


def squash(pixels: Pixels, side: int) -> Pixels:
    """Resize ``(H, W, 3)`` to ``(side, side, 3)``, antialiased, changing the aspect: nothing is cut off.

    Departure: the paper (section 2) scales the shorter side to 256 and cuts out the centre; that loses the edges of
    every photo, and the object with them when it is not in the middle.
    """
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to a decoded picture before the network sees it; saved with the weights and done again with them.

    Attributes:
        store_size: side in pixels to which training squashed the pictures once.
        image_size: side in pixels of what the network takes.
        mean: subtracted from each channel, in [0, 1].
        std: each channel is divided by it, in [0, 1].
        resize: how a picture is made square.
    """

    store_size: int
    image_size: int
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    resize: Literal["squash"] = "squash"

    def apply(self, pixels: Pixels) -> Pixels:
        """Return ``(H, W, 3)`` uint8 as ``(image_size, image_size, 3)`` uint8, by way of the store's size."""
        return squash(squash(pixels, self.store_size), self.image_size)


class _RefusedError(Exception):
    """A picture refused by our own checks; the message is the reason."""


def _open(source: Path | str | bytes) -> Image.Image:
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _RefusedError(f"it claims {width}x{height} pixels, more than the {MAX_PIXELS:,} allowed")


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:
        return picture  # a broken metadata block says nothing about the pixels, and those have been loaded


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _deep_to_rgb(picture)
    if picture.mode == "LAB":
        return _lab_to_rgb(picture)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, WHITE), rgba).convert("RGB")
    return picture.convert("RGB")


def _deep_to_rgb(picture: Image.Image) -> Image.Image:
    """Scale integers by their depth and floats by their range, where ``convert("RGB")`` would clip both to white.

    Cameras and scanners store 10 or 12 bits in 16; the depth is taken to be the least one that holds the largest value.
    """
    values = np.asarray(picture).astype(np.float64)
    if picture.mode == "F":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
        low, high = min(values.min(), 0.0), max(values.max(), 1.0)
    else:
        low, high = 0.0, next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 32) if values.max() < 2.0**bits)
    grey = np.clip((values - low) / (high - low) * 255, 0, 255).round().astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _lab_to_rgb(picture: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _is_empty(source: Path | str | bytes) -> bool:
    try:
        return not (source if isinstance(source, bytes) else Path(source).stat().st_size)
    except OSError:
        return False


def _reason(source: Path | str | bytes, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder without pictures"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if _is_empty(source):
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError):
        return f"it claims more than the {MAX_PIXELS:,} pixels allowed"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a known format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    words = " ".join(str(error).split()) or type(error).__name__
    return f"damaged ({words})"
