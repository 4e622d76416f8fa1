"""The only decoder: it turns a file, its bytes or an opened image into upright RGB uint8.

Checking, preparing, training, evaluating and predicting all read images through ``decode``. So a deployed network sees
what it saw in training. No torch here: a server may run without it.
"""

import contextlib
import io
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, ImageOps

from alexnet.errors import ImageError
from alexnet.images import jpeg
from alexnet.images.choices import MAX_PIXELS
from alexnet.images.deep import Reopen, SampleInfo, deep_to_rgb, has_16_bit_colours, is_deep, sample_info, use_all_bits
from alexnet.images.opening import open_file
from alexnet.images.signatures import UNREADABLE_ENDINGS, RefusedError, ending_of, kind_of

Pixels = npt.NDArray[np.uint8]

# The formats to try, whatever a file's name. Pillow knows more formats, but some of them run other programs.
_WANTED = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)  # a Pillow may have been built without one
# The usual endings of these formats and of HEIC (an optional extra). Other files are recognised by their content.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".mpo", ".tga", ".heic", ".heif", ".hif"}
)
# Formats that Pillow can decode at a reduced size, which is faster.
_DRAFT_FORMATS = ("JPEG", "MPO")
# Images with more pixels are decoded one at a time, even with several threads: each may take ten bytes a pixel.
LARGE = 30_000_000
_ONE_AT_A_TIME = threading.Lock()
# Transparent pixels become white, as on a page.
BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Decoded:
    """An image and how it was stored.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, upright.
        format: name of the file format, such as ``JPEG``; empty for an image that was already open.
        mode: Pillow's mode of the file, such as ``RGB``, ``CMYK`` or ``I;16``.
        sides: width and height in the file, in pixels.
    """

    pixels: Pixels
    format: str
    mode: str
    sides: tuple[int, int]


def decode(
    source: Path | str | bytes | Image.Image,
    *,
    min_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    where: str | None = None,
) -> Pixels:
    """Read one image as upright RGB, ``(H, W, 3)`` uint8. ``read`` also returns how it was stored."""
    return read(source, min_side=min_side, max_pixels=max_pixels, where=where).pixels


def read(
    source: Path | str | bytes | Image.Image,
    *,
    min_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    where: str | None = None,
) -> Decoded:
    """Read one image as upright RGB.

    The stored orientation is applied in every format that has one. An animation gives its first frame, a HEIC its
    primary image. Transparent pixels are laid on ``BACKGROUND``. Samples of more than eight bits are scaled by their
    depth or their range: see ``deep``.

    Args:
        source: a path, the file's bytes, or an image that Pillow has opened.
        min_side: a JPEG may be decoded at a half, quarter or eighth of its size as long as no side falls below this
            many pixels. That is several times faster for large images.
        max_pixels: an image that claims more is refused before it is decoded.
        where: the name of the image in errors; by default the path.

    Raises:
        ImageError: the file is missing, empty, damaged, too large, or not an image.
    """
    with _opened(source, where, max_pixels) as (image, reopen):
        info, has_lower_bits = sample_info(image), has_16_bit_colours(image)
        if image is source:
            image = image.copy()  # the code below rotates in place, and this image belongs to the caller
        stored = image.format or "", image.mode, image.size
        if min_side is not None and image.format in _DRAFT_FORMATS:
            image.draft(None, (min_side, min_side))
        with _ONE_AT_A_TIME if image.width * image.height > LARGE else contextlib.nullcontext():
            image.load()
            if has_lower_bits:
                use_all_bits(image, reopen)
            _turn_upright(image)
            return Decoded(np.asarray(_to_rgb(image, info)), *stored)


def measure(
    source: Path | str | bytes | Image.Image, max_pixels: int | None = None, *, where: str | None = None
) -> tuple[int, int]:
    """Return an image's width and height as stored, from its header alone. The arguments are those of ``read``.

    Raises:
        ImageError: the header cannot be read, or it claims more than ``max_pixels``.
    """
    with _opened(source, where, max_pixels) as (image, _):
        return image.size


def ends_like_image(path: str) -> bool:
    """Return whether a file's ending is that of an image that can be read here."""
    # Five times as fast as pathlib: there may be a million files.
    return path[path.rfind(".") :].lower() in EXTENSIONS


def is_image(path: str, beginning: bytes) -> bool:
    """Return whether a file is an image by its ending or its first bytes, even if it cannot be read here.

    Args:
        path: the path of the file.
        beginning: its first ``signatures.N_BEGINNING`` bytes.
    """
    if ends_like_image(path) or ending_of(path) in UNREADABLE_ENDINGS:
        return True
    kind = kind_of(path, beginning)
    return kind is not None and kind.is_image


@contextlib.contextmanager
def _opened(
    source: Path | str | bytes | Image.Image, where: str | None = None, max_pixels: int | None = None
) -> Iterator[tuple[Image.Image, Reopen | None]]:
    """Open an image. Any error while it is open becomes an ``ImageError`` that names it."""
    where = where or (str(source) if isinstance(source, Path | str) else f"given as {type(source).__name__}")
    try:
        with contextlib.ExitStack() as opened:
            image: Image.Image
            reopen: Reopen | None
            if isinstance(source, Image.Image):
                image, reopen = source, None
            else:
                file = opened.enter_context(_file(source))
                reopen = partial(_open, file, "" if isinstance(source, bytes) else str(source), where)
                image = reopen()
            if max_pixels is not None:
                _check_size(image, max_pixels)
            yield image, reopen
    except RefusedError as refused:
        raise ImageError(where, str(refused)) from None
    except MemoryError:
        raise  # not the image's fault
    except Exception as error:  # hostile bytes can raise nearly anything inside Pillow; all mean "cannot be read"
        raise ImageError(where, _reason(source, error)) from error


def _file(source: Path | str | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    kind = Path(source).stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise RefusedError("it is a device or a pipe, not a file")
    return Path(source).open("rb")


def _open(file: IO[bytes], name: str, where: str) -> ImageFile.ImageFile:
    file.seek(0)
    return open_file(file, name, FORMATS, where)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if not width or not height:
        raise RefusedError(f"it claims {width}x{height} pixels: it is empty")
    if width * height > max_pixels:
        raise RefusedError(f"it claims {width}x{height} pixels, more than the {max_pixels:,} allowed by --max-pixels")


def _turn_upright(image: Image.Image) -> None:
    # Broken metadata do no harm: the pixels have been loaded.
    with contextlib.suppress(Exception):
        # In place: copying an upright image can take as long as decoding a small one.
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image, info: SampleInfo) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image, info):
        return deep_to_rgb(image, info)
    if image.mode == "La":  # grey with premultiplied alpha
        image = image.convert("LA")
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        page = Image.new("RGB", rgba.size, BACKGROUND)
        page.paste(rgba, mask=rgba)
        return page
    return image.convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _reason(source: Path | str | bytes | Image.Image, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return fault(error)
    words = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return f"Pillow refuses it ({words}), whatever --max-pixels says; save it as PNG"
    if isinstance(source, Image.Image):  # opened by the caller: only a file can be damaged
        is_file = isinstance(error, OSError | SyntaxError)
        return f"damaged ({words})" if is_file else f"it cannot be read any more ({words})"
    with _file(source) as file:
        unusual = jpeg.unusual(file)
    return unusual or f"damaged ({words})"


def fault(error: OSError) -> str:
    """Return in a few words why a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder without images"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return (error.strerror or str(error)).lower()
