"""Pillow's TIFF reader with corrections. Kinds that Pillow shows wrongly are corrected, or refused by name."""

import sys

from PIL import Image, ImagePalette, TiffImagePlugin
from PIL.ImageFile import _Tile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COLORMAP,
    COMPRESSION,
    COMPRESSION_INFO,
    EXTRASAMPLES,
    IMAGEWIDTH,
    MAX_SAMPLESPERPIXEL,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    SAMPLESPERPIXEL,
    STRIPOFFSETS,
    TILEOFFSETS,
)

from alexnet.images.signatures import RefusedError, raw

_SUBFILE_TYPE, _SUB_DIRECTORIES, _DNG_VERSION = 254, 330, 50706
_REDUCED, _PLANAR = 1, 2
# Raw sensor data: one colour a pixel, in a mosaic; or three, before any camera profile is applied.
_SENSOR_DATA = (32803, 34892)
# Modes whose planes Pillow joins. For others it fills one band only, without an error.
_JOINED = ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_FORMAT_WORDS = {2: ", signed", 3: " in floating point", 5: ", complex", 6: " in complex floating point"}
_PHOTOMETRIC_WORDS = {3: " with a palette", 5: " in CMYK", 8: " in CIE L*a*b*"}
# libtiff gives samples in this machine's byte order, not in the file's. Pillow allows for that in some modes only.
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}


class Tiff(TiffImagePlugin.TiffImageFile):
    """A TIFF.

    For an uncompressed one, Pillow would check the size again, against its limit for the process.
    """

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()

    def _open(self) -> None:
        assert self.fp is not None
        if self.fp.read(4) == b"MM\0+":  # Pillow would read it as an ordinary TIFF
            raise RefusedError("a big-endian BigTIFF, which cannot be read here; save it as PNG")
        self.fp.seek(0)
        super()._open()

    def _setup(self) -> None:
        tags = self.tag_v2
        if _is_raw(tags):
            raise RefusedError(raw().fault)
        if tags.get(SAMPLESPERPIXEL, 1) == 1 and tags.get(PLANAR_CONFIGURATION) == _PLANAR:
            tags[PLANAR_CONFIGURATION] = 1  # for one band both are the same, but Pillow would misread the mode
        _leave_out_planes(tags)
        if tags.get(SAMPLESPERPIXEL, 1) > MAX_SAMPLESPERPIXEL:
            raise RefusedError(_refusal(tags))  # Pillow would write to the log
        try:
            super()._setup()
        except (SyntaxError, KeyError) as error:
            if not isinstance(tags.get(IMAGEWIDTH), int):
                raise
            raise RefusedError(_refusal(tags)) from error
        if tags.get(PLANAR_CONFIGURATION) == _PLANAR and not self._has_known_planes():
            raise RefusedError(_refusal(tags))
        self.tile = [self._corrected(tile) for tile in self.tile]
        if self.mode in ("P", "PA") and max(tags[COLORMAP]) < 256:
            # Colours should have 16 bits, and Pillow takes the upper eight. Some programs write eight bits.
            self.palette = ImagePalette.raw("RGB;L", bytes(tags[COLORMAP]))

    def _has_known_planes(self) -> bool:
        # Without compression, each plane has its own raw mode; "a" is premultiplied alpha.
        raws = {str(tile.args[0]) for tile in self.tile if tile.codec_name == "raw" and isinstance(tile.args, tuple)}
        return len(self.getbands()) == 1 or (self.mode in _JOINED and raws <= set("RGBAXCMYK"))

    def _corrected(self, tile: _Tile) -> _Tile:
        args = tile.args
        assert isinstance(args, tuple)
        mode = str(args[0])
        if tile.codec_name == "libtiff":
            mode = _NATIVE.get(mode, mode)
        elif len(mode) == 1 and len(self.getbands()) > 1 and self.tag_v2[BITSPERSAMPLE][0] == 16:
            if self.mode == "CMYK":
                raise RefusedError(_refusal(self.tag_v2))
            # A plane for each band: Pillow assumes 8 bits.
            mode = f"{mode};16{'L' if self.tag_v2.prefix == b'II' else 'B'}"
        return tile._replace(args=(mode, *args[1:]))


def _is_raw(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Return whether a TIFF is a camera's raw file: a thumbnail comes first, the image is in a subdirectory."""
    is_thumbnail = tags.get(_SUBFILE_TYPE) == _REDUCED and (_SUB_DIRECTORIES in tags or _DNG_VERSION in tags)
    return is_thumbnail or tags.get(PHOTOMETRIC_INTERPRETATION) in _SENSOR_DATA


def _leave_out_planes(tags: TiffImagePlugin.ImageFileDirectory_v2) -> None:
    """Leave out the planes of extra bands whose meaning the TIFF does not state, as Pillow intends."""
    extra, n_bands = tags.get(EXTRASAMPLES, ()), tags.get(SAMPLESPERPIXEL, 1)
    if tags.get(PLANAR_CONFIGURATION) == _PLANAR and extra and not any(extra):
        for tag in (STRIPOFFSETS, TILEOFFSETS):
            if tag in tags:
                tags[tag] = tags[tag][: len(tags[tag]) * (n_bands - len(extra)) // n_bands]


def other_half(mode: str) -> str:
    """Return Pillow's raw mode for the other eight of the 16 bits: ``RGB;16L`` for ``RGB;16B``."""
    order = mode[-1].replace("N", sys.byteorder[0].upper())
    return mode[:-1] + {"L": "B", "B": "L"}[order]


def _refusal(tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    bits = tags.get(BITSPERSAMPLE, (1,))
    n_bands = max(tags.get(SAMPLESPERPIXEL, 1), len(bits))
    number = _FORMAT_WORDS.get(tags.get(SAMPLEFORMAT, (1,))[0], "")
    colour = _PHOTOMETRIC_WORDS.get(tags.get(PHOTOMETRIC_INTERPRETATION, 1), "")
    method = tags.get(COMPRESSION, 1)
    planes = " in planes" if n_bands > 1 and tags.get(PLANAR_CONFIGURATION) == _PLANAR else ""
    packed = "" if method in COMPRESSION_INFO else f", compressed by method {method}"
    bands = f"{n_bands} band{'s' if n_bands > 1 else ''} of {max(bits)} bits"
    advice = {1: "save it as PNG", 2: "save one of them as PNG", 3: "save it as PNG", 4: "save it as PNG"}.get(
        n_bands, "save three of them as PNG"
    )
    return f"a TIFF of {bands}{number}{colour}{planes}{packed}, which cannot be read here; {advice}"
