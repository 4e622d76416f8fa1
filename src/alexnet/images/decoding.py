"""The one decoder: a file, its bytes or an opened image in; upright RGB uint8 out.

Checking, preparing, training, evaluating and predicting all read images through ``decode``, so a deployed network
sees what the trained one saw. No torch here: a served model may run without it.
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
from alexnet.images.deep import Again, Numbers, deep_to_rgb, is_deep, is_wide, numbers_of, use_all_bits
from alexnet.images.opening import open_file
from alexnet.images.signatures import UNREADABLE_ENDINGS, RefusedError, ending_of, kind_of

Pixels = npt.NDArray[np.uint8]

# The formats that are tried, whatever a file is called. Pillow knows more, but some of those run other programs.
_WANTED = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)  # a Pillow may have been built without one
# How people's files in these formats end, and in HEIC, which an extra reads. Other files are images by their content.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".mpo", ".tga", ".heic", ".heif", ".hif"}
)
# Formats of which Pillow decodes fewer pixels than there are by leaving out detail.
_DRAFTED = ("JPEG", "MPO")
# Images of more pixels are decoded one at a time, whatever the number of threads: each may take ten bytes a pixel.
LARGE = 30_000_000
_ONE_AT_A_TIME = threading.Lock()
# Transparent pixels are laid on white, as a page or a catalogue would show them.
BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Decoded:
    """An image and how it was stored.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, upright.
        format: name of the file format, such as ``JPEG``; empty for an image that was opened already.
        mode: Pillow's name for the kind of pixels in the file, such as ``RGB``, ``CMYK`` or ``I;16``.
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
    """Read one image upright as RGB: ``(H, W, 3)`` uint8. See ``read``, which also says how it was stored."""
    return read(source, min_side=min_side, max_pixels=max_pixels, where=where).pixels


def read(
    source: Path | str | bytes | Image.Image,
    *,
    min_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    where: str | None = None,
) -> Decoded:
    """Read one image upright as RGB.

    Orientation is honoured wherever a format keeps it. The first frame is taken of an animation, the primary image of
    a HEIC; transparent pixels are laid on ``BACKGROUND``; numbers of more than eight bits are scaled by their depth or
    their range, see ``deep``.

    Args:
        source: a path, the file's bytes, or an image that Pillow has opened.
        min_side: a JPEG may be decoded at a half, quarter or eighth of its size while no side falls below this many
            pixels, which is several times faster for large images.
        max_pixels: an image that claims more is refused before any of it is decoded.
        where: how errors name the image; the path where not given.

    Raises:
        ImageError: the file is missing, empty, damaged, too large, or not an image.
    """
    with _opened(source, where, max_pixels) as (image, again):
        numbers, has_lower_bits = numbers_of(image), is_wide(image)
        if image is source:
            image = image.copy()  # it is turned in place below, and this one is somebody else's
        stored = image.format or "", image.mode, image.size
        if min_side is not None and image.format in _DRAFTED:
            image.draft(None, (min_side, min_side))
        with _ONE_AT_A_TIME if image.width * image.height > LARGE else contextlib.nullcontext():
            image.load()
            if has_lower_bits:
                use_all_bits(image, again)
            _turn_upright(image)
            return Decoded(np.asarray(_to_rgb(image, numbers)), *stored)


def measure(
    source: Path | str | bytes | Image.Image, max_pixels: int | None = None, *, where: str | None = None
) -> tuple[int, int]:
    """Return an image's width and height as stored, from its header alone. Arguments are those of ``read``.

    Raises:
        ImageError: there is no header to read, or it claims more than ``max_pixels``.
    """
    with _opened(source, where, max_pixels) as (image, _):
        return image.size


def ends_like_image(path: str) -> bool:
    """Return whether a file is called like an image that can be read here."""
    # A fifth of pathlib's time, for each of maybe a million.
    return path[path.rfind(".") :].lower() in EXTENSIONS


def is_image(path: str, beginning: bytes) -> bool:
    """Return whether a file ends or begins like an image, be it in a format that cannot be read here.

    Args:
        path: of the file.
        beginning: its first ``signatures.N_BEGINNING`` bytes.
    """
    if ends_like_image(path) or ending_of(path) in UNREADABLE_ENDINGS:
        return True
    kind = kind_of(path, beginning)
    return kind is not None and kind.is_image


@contextlib.contextmanager
def _opened(
    source: Path | str | bytes | Image.Image, where: str | None = None, max_pixels: int | None = None
) -> Iterator[tuple[Image.Image, Again | None]]:
    """Open an image; whatever goes wrong while it is open is a ``ImageError`` that names it."""
    where = where or (str(source) if isinstance(source, Path | str) else f"given as {type(source).__name__}")
    try:
        with contextlib.ExitStack() as opened:
            image: Image.Image
            again: Again | None
            if isinstance(source, Image.Image):
                image, again = source, None
            else:
                file = opened.enter_context(_file(source))
                again = partial(_open, file, "" if isinstance(source, bytes) else str(source), where)
                image = again()
            if max_pixels is not None:
                _check_size(image, max_pixels)
            yield image, again
    except RefusedError as refused:
        raise ImageError(where, str(refused)) from None
    except MemoryError:
        raise  # says nothing about the image
    except Exception as error:  # hostile bytes can raise nearly anything inside Pillow; each means "cannot be read"
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
        raise RefusedError(f"it claims {width}x{height} pixels, which is none")
    if width * height > max_pixels:
        raise RefusedError(f"it claims {width}x{height} pixels, more than the {max_pixels:,} allowed by --max-pixels")


def _turn_upright(image: Image.Image) -> None:
    # A broken metadata block says nothing about the pixels, and those have been loaded.
    with contextlib.suppress(Exception):
        # In place: a copy of an image that stands already can take as long as decoding a small image.
        ImageOps.exif_transpose(image, in_place=True)


def _to_rgb(image: Image.Image, numbers: Numbers) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image, numbers):
        return deep_to_rgb(image, numbers)
    if image.mode == "La":  # grey that was multiplied by its transparency
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
    if isinstance(source, Image.Image):  # of what was opened elsewhere, only a file can be damaged
        is_file = isinstance(error, OSError | SyntaxError)
        return f"damaged ({words})" if is_file else f"it cannot be read any more ({words})"
    with _file(source) as file:
        unusual = jpeg.unusual(file)
    return unusual or f"damaged ({words})"


def fault(error: OSError) -> str:
    """Return in a few words why the system would not let a file be read."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder without images"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return (error.strerror or str(error)).lower()
