"""Pillow's format readers, called without any setting for the whole process.

``Image.open`` applies ``Image.MAX_IMAGE_PIXELS``, one limit for the whole process, and decodes some formats before the
check. That limit still holds for a bitmap inside an icon and for a GIF's frames.
"""

import contextlib
import struct
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import IO, Any

from PIL import IcoImagePlugin, Image, ImageFile
from PIL.BmpImagePlugin import DibImageFile
from PIL.PngImagePlugin import PngImageFile

from alexnet.images import jpeg
from alexnet.images.signatures import HEIC, N_BEGINNING, Kind, RefusedError, kind_of
from alexnet.images.tiff import Tiff

# The readers of the formats that are read here. Image.init would import thirty more, which nearly doubles the time that
# it takes to import what decodes.
for _name in ("Avif", "Bmp", "Gif", "Ico", "Jpeg", "Jpeg2K", "Mpo", "Png", "Ppm", "Tga", "Tiff", "WebP"):
    with contextlib.suppress(ImportError):  # a Pillow may have been built without one
        import_module(f"PIL.{_name}ImagePlugin")
_PNG = b"\x89PNG\r\n\x1a\n"
_WEBP_HEADER = 30
# Pillow's readers recognise their formats by this many bytes.
_BEGINNING = 16
# The only format without a signature: nearly any file may pass for it.
_WITHOUT_SIGNATURE = "TGA"


class _WebP(ImageFile.ImageFile):
    """The first frame of a WebP.

    To open one, Pillow applies its limit for the process, then makes a decoder with memory for all pixels.
    """

    format = "WEBP"

    def _open(self) -> None:
        assert self.fp is not None
        self._size, has_alpha = _webp_size_and_alpha(self.fp.read(_WEBP_HEADER))
        self._mode = "RGBA" if has_alpha else "RGB"

    def load(self) -> Any:
        if self._im is None:
            from PIL import _webp  # not in every build of Pillow

            assert self.fp is not None
            self.fp.seek(0)
            decoder = _webp.WebPAnimDecoder(self.fp.read())
            frame = decoder.get_next()
            if frame is None or len(frame[0]) != 4 * self.width * self.height:
                raise OSError("failed to decode the first frame")
            raw = "RGBA" if self.mode == "RGBA" else "RGBX"
            self.im = Image.frombytes(self.mode, self.size, frame[0], "raw", raw).im
            if exif := decoder.get_chunk("EXIF"):
                self.info["exif"] = exif
        return Image.Image.load(self)


def _webp_size_and_alpha(header: bytes) -> tuple[tuple[int, int], bool]:
    """Read the size of a WebP, and whether it has alpha, from its first ``_WEBP_HEADER`` bytes.

    Raises:
        SyntaxError: they are not the header of a WebP.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    kind = header[12:16]
    if len(header) == _WEBP_HEADER and kind == b"VP8 " and header[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", header, 26)
        return (width & 0x3FFF, height & 0x3FFF), False
    if len(header) == _WEBP_HEADER and kind == b"VP8L" and header[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", header, 21)
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
    if len(header) == _WEBP_HEADER and kind == b"VP8X":
        width, height = (int.from_bytes(header[at : at + 3], "little") + 1 for at in (24, 27))
        return (width, height), bool(header[20] & 0x10)
    raise SyntaxError("not the header of a WebP")


class _Icon(IcoImagePlugin.IcoImageFile):
    """An icon: the largest of its images according to its table, as in Pillow.

    Pillow decodes the image to open it, and only then knows its real size. The table says 256x256 at most, but a PNG
    inside may have any size.
    """

    def _open(self) -> None:
        assert self.fp is not None
        self.ico = IcoImagePlugin.IcoFile(self.fp)
        inside = self._png()
        if inside is not None:
            self._size, self._mode = inside.size, inside.mode
        else:
            # A bitmap is stored with its mask of transparency, and its height counts both.
            width, height = DibImageFile(self.fp).size
            self._size, self._mode = (width, height // 2), "RGBA"
        self.info["sizes"] = {self._size}

    def load(self) -> Any:
        if self._im is None:
            inside = self._png() or self.ico.frame(0)
            inside.load()
            self.im, self._mode, self.palette = inside.im, inside.mode, inside.palette
        return Image.Image.load(self)

    def _png(self) -> PngImageFile | None:
        """Return the image inside, not loaded, if it is a PNG. Else the file is at the image's first byte."""
        assert self.fp is not None
        at = self.ico.entry[0].offset
        self.fp.seek(at)
        is_png = self.fp.read(len(_PNG)) == _PNG
        self.fp.seek(at)
        return PngImageFile(self.fp) if is_png else None


_OURS: dict[str, Callable[[IO[bytes], str | bytes], ImageFile.ImageFile]] = {
    "TIFF": Tiff,
    "WEBP": _WebP,
    "ICO": _Icon,
}


def open_file(file: IO[bytes], name: str, formats: Iterable[str], path: str = "") -> ImageFile.ImageFile:
    """Open an image and read its header only, whatever size it claims.

    Args:
        file: its bytes, from the beginning. The file must stay open while the image is in use.
        name: the name of the file; empty if it has none.
        formats: Pillow's names of the formats to try, in order.
        path: the name of the image, whether or not such a file exists. Its ending may tell what it is.

    Raises:
        RefusedError: it is in none of the formats. Hostile bytes can raise nearly anything else too.
    """
    beginning = file.read(N_BEGINNING)
    if not beginning:
        raise RefusedError("the file is empty")
    kind = kind_of(path or name, beginning)
    if kind is HEIC:
        return _open_heic(file, name)
    if kind and kind.fault:
        raise RefusedError(kind.fault)
    for each in formats:
        factory, accepts = Image.OPEN[each]
        try:  # some readers raise if the file is shorter than their signature
            if accepts is not None and accepts(beginning[:_BEGINNING]) is not True:
                continue
            if each == _WITHOUT_SIGNATURE and kind:
                continue
            file.seek(0)
            return _OURS.get(each, factory)(file, name)
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise RefusedError(_unopened(file, kind))


def heic_reader() -> str:
    """Return the version of the package that reads HEIC, without importing it; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes a hundredth of a second

    try:
        return version("pillow-heif")
    except PackageNotFoundError:
        return ""


def _open_heic(file: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Open a HEIC, which libheif rotates itself. The format is not registered in Pillow for the whole process."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise RefusedError(HEIC.fault) from None
    file.seek(0)
    try:
        image: ImageFile.ImageFile = HeifImageFile(file, name)  # type: ignore[no-untyped-call]
        return image
    except SyntaxError as error:
        raise RefusedError(f"damaged ({' '.join(str(error).split())})") from error  # libheif writes several lines


def _unopened(file: IO[bytes], kind: Kind | None) -> str:
    if kind is None:
        return "not an image in a known format"
    words = jpeg.unusual(file) if kind.name == "JPEG" else ""
    return words or f"damaged (it begins like {kind.name}, but its header cannot be read)"
