"""Pillow's readers of formats, used for one call at a time: nothing here depends on, or changes, the whole process.

``Image.open`` measures pictures by ``Image.MAX_IMAGE_PIXELS``, one limit for the process, and decodes some before it.
"""

import struct
from collections.abc import Callable, Iterable
from typing import IO, Any

from PIL import IcoImagePlugin, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError
from PIL.BmpImagePlugin import DibImageFile
from PIL.PngImagePlugin import PngImageFile

Image.init()
_PNG = b"\x89PNG\r\n\x1a\n"
# Bytes by which Pillow's readers know their formats.
_BEGINNING = 16


class _Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF, of which Pillow would measure what is not compressed a second time, by the limit for the process."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class _Icon(IcoImagePlugin.IcoImageFile):
    """An icon: the largest of its pictures, going by its table, as in Pillow.

    Pillow decodes it to open it, and only then knows how large it really is: the table says 256x256 at most, a PNG
    inside may be of any size.
    """

    def _open(self) -> None:
        assert self.fp is not None
        self.ico = IcoImagePlugin.IcoFile(self.fp)
        self.fp.seek(self.ico.entry[0].offset)
        is_png = self.fp.read(len(_PNG)) == _PNG
        self.fp.seek(self.ico.entry[0].offset)
        inside: ImageFile.ImageFile = PngImageFile(self.fp) if is_png else DibImageFile(self.fp)
        # A bitmap stands on the mask of what is transparent, and its height is that of both.
        width, height = inside.size
        self._size, self._mode = (inside.size, inside.mode) if is_png else ((width, height // 2), "RGBA")
        self.info["sizes"] = {self._size}

    def load(self) -> Any:
        if self._im is None:
            inside = self.ico.frame(0)
            inside.load()
            self.im, self._mode, self.palette = inside.im, inside.mode, inside.palette
        return Image.Image.load(self)


_OURS: dict[str, Callable[[IO[bytes], str | bytes], ImageFile.ImageFile]] = {"TIFF": _Tiff, "ICO": _Icon}


def open_file(file: IO[bytes], name: str, formats: Iterable[str]) -> ImageFile.ImageFile:
    """Return a picture of which only the header has been read, whatever it claims.

    Args:
        file: its bytes, from the beginning; to stay open while the picture is in use.
        name: of the file, empty where it has none.
        formats: Pillow's names of the formats to try, in order.

    Raises:
        UnidentifiedImageError: it is in none of the formats. Hostile bytes can raise nearly anything else too.
    """
    beginning = file.read(_BEGINNING)
    for each in formats:
        factory, accepts = Image.OPEN[each]
        try:  # some expect more bytes than there are to know their format by
            if accepts is not None and accepts(beginning) is not True:
                continue
            file.seek(0)
            return _OURS.get(each, factory)(file, name)
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError(f"cannot identify {name!r}")
