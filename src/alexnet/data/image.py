"""The one decoder: a file, its bytes or an opened picture in; upright RGB uint8 out.

Checking, preparing, training, evaluating and predicting all read pictures through ``decode``, so a deployed network
sees what the trained one saw. No torch here: a served model may run without it.
"""

import contextlib
import io
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from alexnet.data.choices import MAX_PIXELS
from alexnet.data.opening import open_file
from alexnet.errors import PictureError

Pixels = npt.NDArray[np.uint8]

# The formats that are tried, whatever a file is called. Pillow knows more, but some of those run other programs.
_WANTED = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)  # a Pillow may have been built without one
# How people's files in these formats end. Other files in a class folder are counted, never opened.
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif", ".jp2"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".mpo", ".tga"}
)
# Pictures too, but in formats that cannot be read here: from phones and from cameras.
UNREADABLE_EXTENSIONS = frozenset(
    {".heic", ".heif", ".hif", ".jxl", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
    | {".psd", ".svg", ".eps"}
)
# How HEIC begins, whatever a file is called: "ftyp" at byte 4, then one of these.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
N_BEGINNING = 64
# Pictures of more pixels are decoded one at a time, whatever the number of threads: each may take ten bytes a pixel.
LARGE = 30_000_000
_ONE_AT_A_TIME = threading.Lock()
# Transparent pixels are laid on white, as a page or a catalogue would show them.
BACKGROUND = (255, 255, 255)


@dataclass(frozen=True)
class Decoded:
    """A picture and how it was stored.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, upright.
        format: name of the file format, such as ``JPEG``; empty for a picture that was opened already.
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
    """Read one picture upright as RGB: ``(H, W, 3)`` uint8. See ``read``, which also says how it was stored."""
    return read(source, min_side=min_side, max_pixels=max_pixels, where=where).pixels


def read(
    source: Path | str | bytes | Image.Image,
    *,
    min_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    where: str | None = None,
) -> Decoded:
    """Read one picture upright as RGB.

    Orientation is honoured wherever a format keeps it. The first frame is taken of an animation; transparent pixels
    are laid on ``BACKGROUND``; deep greyscale is scaled by its depth.

    Args:
        source: a path, the file's bytes, or a picture that Pillow has opened.
        min_side: a JPEG may be decoded at a half, quarter or eighth of its size while no side falls below this many
            pixels, which is several times faster for large photos.
        max_pixels: a picture that claims more is refused before any of it is decoded.
        where: how errors name the picture; the path where not given.

    Raises:
        PictureError: the file is missing, empty, damaged, too large, or not a picture.
    """
    with _opened(source, where, max_pixels) as picture:
        stored = picture.format or "", picture.mode, picture.size
        if min_side is not None:
            picture.draft(None, (min_side, min_side))
        with _ONE_AT_A_TIME if picture.width * picture.height > LARGE else contextlib.nullcontext():
            picture.load()
            _turn_upright(picture)
            return Decoded(np.asarray(_to_rgb(picture)), *stored)


def identify(source: Path | str | bytes | Image.Image) -> str:
    """Return the format of a picture, such as ``JPEG``, from its beginning.

    Raises:
        PictureError: it begins like none.
    """
    with _opened(source) as picture:
        return picture.format or ""


def measure(source: Path | str | bytes | Image.Image, max_pixels: int | None = None) -> tuple[int, int]:
    """Return a picture's width and height as stored, from its header alone.

    Raises:
        PictureError: there is no header to read, or it claims more than ``max_pixels``.
    """
    with _opened(source, max_pixels=max_pixels) as picture:
        return picture.size


def unreadable_kind(path: str, beginning: bytes) -> str:
    """Return the format of a picture that cannot be read here, such as HEIC; empty where there is no sign of one.

    Args:
        path: of the file; the ending tells.
        beginning: its first ``N_BEGINNING`` bytes, which tell a HEIC of any name.
    """
    if beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIC_BRANDS:
        return "HEIC"
    ending = PurePath(path).suffix.lower()
    return ending[1:].upper() if ending in UNREADABLE_EXTENSIONS else ""


def ends_like_picture(path: str) -> bool:
    """Return whether a file is called like a picture that can be read here."""
    return PurePath(path).suffix.lower() in EXTENSIONS


def is_picture(path: str, beginning: bytes) -> bool:
    """Return whether a file ends or begins like a picture, be it in a format that cannot be read here.

    Args:
        path: of the file.
        beginning: its first ``N_BEGINNING`` bytes.
    """
    if ends_like_picture(path) or unreadable_kind(path, beginning):
        return True
    with contextlib.suppress(PictureError):
        return identify(beginning) != "TGA"  # which has no signature, so anything may pass for it
    return False


class _RefusedError(Exception):
    """A picture refused by our own checks; the message is the reason."""


@contextlib.contextmanager
def _opened(
    source: Path | str | bytes | Image.Image, where: str | None = None, max_pixels: int | None = None
) -> Iterator[Image.Image]:
    """Open a picture; whatever goes wrong while it is open is a ``PictureError`` that names it."""
    where = where or (str(source) if isinstance(source, Path | str) else f"given as {type(source).__name__}")
    try:
        with _open(source) as picture:
            if max_pixels is not None:
                _check_size(picture, max_pixels)
            # Decoding turns pictures in place, and those that were opened already are somebody else's.
            yield picture.copy() if picture is source else picture
    except _RefusedError as refused:
        raise PictureError(where, str(refused)) from None
    except MemoryError:
        raise  # says nothing about the picture
    except Exception as error:  # hostile bytes can raise nearly anything inside Pillow; each means "cannot be read"
        raise PictureError(where, _reason(source, where, error)) from error


@contextlib.contextmanager
def _open(source: Path | str | bytes | Image.Image) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        yield source
        return
    if isinstance(source, bytes):
        yield open_file(io.BytesIO(source), "", FORMATS)
        return
    kind = Path(source).stat().st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise _RefusedError("it is a device or a pipe, not a file")
    with Path(source).open("rb") as file:
        yield open_file(file, str(source), FORMATS)


def _check_size(picture: Image.Image, max_pixels: int) -> None:
    width, height = picture.size
    if not width or not height:
        raise _RefusedError(f"it claims {width}x{height} pixels, which is none")
    if width * height > max_pixels:
        raise _RefusedError(f"it claims {width}x{height} pixels, more than the {max_pixels:,} allowed by --max-pixels")


def _turn_upright(picture: Image.Image) -> None:
    # A broken metadata block says nothing about the pixels, and those have been loaded.
    with contextlib.suppress(Exception):
        # In place: a copy of a picture that stands already can take as long as decoding a small photo.
        ImageOps.exif_transpose(picture, in_place=True)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _deep_to_rgb(picture)
    if picture.mode == "LAB":
        return _lab_to_rgb(picture)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        page = Image.new("RGB", rgba.size, BACKGROUND)
        page.paste(rgba, mask=rgba)
        return page
    return picture.convert("RGB")


def _deep_to_rgb(picture: Image.Image) -> Image.Image:
    """Scale integers by their depth and floats by their range, where ``convert("RGB")`` would clip both to white.

    Cameras and scanners store 12 bits in 16, and formats do not say so: the depth is taken to be the least of 8, 12 and
    16 that holds the largest value. More steps would make pictures of one set differ in brightness more often.
    """
    values = np.asarray(picture).astype(np.float32)
    if picture.mode == "F":
        values = np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    else:
        largest = float(values.max())
        low, high = 0.0, next((2.0**bits - 1 for bits in (8, 12, 16) if largest < 2.0**bits), 2.0**32 - 1)
    # In place: of a picture of a hundred million pixels, each copy would be 400 MB.
    values -= low
    values *= 255 / (high - low)
    grey = values.clip(0, 255, out=values).round(out=values).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _lab_to_rgb(picture: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _is_empty(source: Path | str | bytes | Image.Image) -> bool:
    try:
        return (isinstance(source, Path | str) and not Path(source).stat().st_size) or source == b""
    except OSError:
        return False


def _reason(source: Path | str | bytes | Image.Image, where: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return fault(error)
    if _is_empty(source):
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        kind = unreadable_kind(where, _beginning(source))
        return f"{kind} cannot be read here; convert it to JPEG" if kind else "not a picture in a known format"
    words = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return f"Pillow refuses it ({words}), whatever --max-pixels says; save it as PNG"
    # Of what was opened elsewhere, only a file can be damaged.
    is_file = not isinstance(source, Image.Image) or isinstance(error, OSError | SyntaxError)
    return f"damaged ({words})" if is_file else f"it cannot be read any more ({words})"


def _beginning(source: Path | str | bytes | Image.Image) -> bytes:
    if isinstance(source, Path | str):
        with Path(source).open("rb") as file:
            return file.read(N_BEGINNING)
    return source[:N_BEGINNING] if isinstance(source, bytes) else b""


def fault(error: OSError) -> str:
    """Return in a few words why the system would not let a file be read."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder without pictures"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return (error.strerror or str(error)).lower()
