"""File types by their first bytes, and by the file's ending where the bytes are not enough."""

import re
from dataclasses import dataclass
from pathlib import PurePath

# Enough bytes for all signatures. Those of DICOM and tar come after the first hundreds.
N_BEGINNING = 512


class RefusedError(Exception):
    """An image of a kind that is not read. The message is the reason."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a file.

    Attributes:
        name: the name of the format, such as ``JPEG`` or ``HEIC``.
        fault: why it cannot be read, and what to do; empty if Pillow may be able to read it.
        is_image: whether people would call it an image.
        plural: the plural for reports on files among images; empty if they need no mention.
    """

    name: str
    fault: str = ""
    is_image: bool = True
    plural: str = ""


def _other_image(name: str, advice: str = "convert it to JPEG") -> Kind:
    return Kind(name, f"{name} inside; {advice}")


def _video(name: str) -> Kind:
    fault = f"a video ({name}), not an image; extract frames from it"
    return Kind(name, fault, is_image=False, plural=f"videos ({name})")


def _archive(name: str) -> Kind:
    fault = f"a {name} archive, not an image; unpack it"
    return Kind(name, fault, is_image=False, plural=f"{name} archives")


def _page(name: str, a_name: str, plural: str = "") -> Kind:
    return Kind(name, f"{a_name}, not an image; download it again", is_image=False, plural=plural)


HEIC = _other_image("HEIC", "pip install pillow-heif, or convert it to JPEG")
_SVG = _other_image("SVG")
_EPS = _other_image("EPS")
_HTML = _page("HTML", "an HTML page", "HTML pages")
_TO_PNG = "convert it to PNG"
_TEXT = rb"(?is)(?:\xef\xbb\xbf)?\s*"

# In order: the first one that matches counts.
_SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    # Formats that are read here. For a BMP the size of its second header counts too, since text may begin with "BM".
    (rb"\xff\xd8\xff", Kind("JPEG")),
    (rb"\x89PNG\r\n\x1a\n", Kind("PNG")),
    (rb"GIF8[79]a", Kind("GIF")),
    (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", Kind("BMP")),
    (rb"[\x28\x34\x38\x40\x6c\x7c]\0\0\0.{8}\x01\0", Kind("DIB")),
    (rb"RIFF.{4}WEBP", Kind("WEBP")),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", Kind("JPEG2000")),
    (rb"(?:P[1-6f]|P0CMYK|Py(?:P|RGBA|CMYK))\s+[\d#]", Kind("PPM")),
    (rb"\0\0\x01\0[^\0]\0.{3}\0", Kind("ICO")),
    # Cameras' raw files. They come before TIFF, since some of them begin like one.
    (rb"II\*\0\x10\0\0\0CR", _other_image("CR2")),
    (rb"FUJIFILMCCD-RAW", _other_image("RAF")),
    (rb"IIR[OS]\x08\0|MMOR\0", _other_image("ORF")),
    (rb"IIU\0", _other_image("RW2")),
    (rb"FOVb", _other_image("X3F")),
    (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", Kind("TIFF")),
    # Other images.
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", _other_image("JPEG XL")),
    (rb"II\xbc\x01", _other_image("JPEG XR")),
    (rb"8BPS", _other_image("PSD")),
    (rb"gimp xcf", _other_image("XCF")),
    (rb"qoif", _other_image("QOI")),
    (rb"DDS ", _other_image("DDS")),
    (rb"BPG\xfb", _other_image("BPG")),
    (rb"AT&TFORM", _other_image("DjVu")),
    (rb"\x76\x2f\x31\x01", _other_image("OpenEXR", _TO_PNG)),
    (rb"#\?R(?:ADIANCE|GBE)", _other_image("Radiance HDR", _TO_PNG)),
    (rb"SIMPLE  = ", _other_image("FITS", _TO_PNG)),
    (rb".{128}DICM", _other_image("DICOM", _TO_PNG)),
    (rb".{344}n[+i]1\0", _other_image("NIfTI", "save its slices as PNG")),
    (rb"%!PS-Adobe-[\d.]+ EPSF|\xc5\xd0\xd3\xc6", _EPS),
    (_TEXT + rb"(?:(?:<\?xml|<!--|<!doctype svg).{,400})?<svg\b", _SVG),
    # Not images.
    (rb"%PDF-", Kind("PDF", "a PDF, not an image; save its pages as PNG", is_image=False, plural="PDFs")),
    (
        rb"version https://git-lfs",
        Kind("LFS", "a Git LFS pointer, not an image; run git lfs pull", is_image=False, plural="Git LFS pointers"),
    ),
    (_TEXT + rb"(?:<!--.{,400})?<(?:!doctype html|html|head|body|script)\b", _HTML),
    (_TEXT + rb"<(?:\?xml|error)\b", _page("XML", "XML")),
    (_TEXT + rb"\{\s*\"", _page("JSON", "JSON")),
    (rb"RIFF.{4}AVI ", _video("AVI")),
    (rb"\x1a\x45\xdf\xa3.{,48}webm", _video("WebM")),
    (rb"\x1a\x45\xdf\xa3", _video("MKV")),
    (rb"[\0-\x1f].{3}(?:moov|mdat|wide)", _video("MOV")),  # its size comes first, in bytes that no text has
    (rb"\0\0\x01[\xb3\xba]", _video("MPEG")),
    (rb"FLV\x01", _video("FLV")),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _video("WMV")),
    (rb"PK(?:\x03\x04|\x05\x06)", _archive("zip")),
    (rb"\x1f\x8b\x08", _archive("gzip")),
    (rb"BZh[1-9]1AY&SY", _archive("bzip2")),
    (rb"\xfd7zXZ\0", _archive("xz")),
    (rb"\x28\xb5\x2f\xfd", _archive("zstd")),
    (rb"7z\xbc\xaf\x27\x1c", _archive("7z")),
    (rb"Rar!\x1a\x07", _archive("rar")),
    (rb".{257}ustar", _archive("tar")),
)
_KNOWN = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _SIGNATURES)

# The word after "ftyp", in HEIF and in the video formats that it comes from.
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), Kind("AVIF")),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC),
    b"crx ": _other_image("CR3"),
    b"qt  ": _video("MOV"),
}
# These only say that the file holds images. The brands after them say how the images are compressed.
_VAGUE_BRANDS = (b"mif1", b"msf1", b"mif2", b"miaf")

# Cameras' raw files. To other programs, most of them look like the TIFF of a thumbnail.
_RAW_ENDINGS = frozenset(
    {".raw", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw"}
    | {".3fr", ".iiq", ".kdc", ".dcr", ".mrw", ".x3f", ".erf", ".rwl"}
)
_OTHER_ENDINGS = {".svg": _SVG, ".eps": _EPS}
# Endings of images that may be of a kind that cannot be read here.
UNREADABLE_ENDINGS = _RAW_ENDINGS | {*_OTHER_ENDINGS, ".jxl", ".psd", ".dcm"}


def kind_of(path: str, beginning: bytes) -> Kind | None:
    """Return the type of a file; None if it is unknown.

    Args:
        path: the path of the file. The content comes before the ending: a JPEG named .heic is a JPEG.
        beginning: its first ``N_BEGINNING`` bytes.
    """
    found = _of_content(beginning)
    ending = ending_of(path)
    if ending in _RAW_ENDINGS and (found is None or found.name == "TIFF"):
        return raw(ending[1:].upper())
    return found or _OTHER_ENDINGS.get(ending)


def raw(name: str = "") -> Kind:
    """Return the type of a camera's raw file, with the name of its format if that is known."""
    return Kind(name or "raw", f"a camera's raw file{f' ({name})' if name else ''}; convert it to JPEG")


def ending_of(path: str) -> str:
    """Return the ending of a file's name in lower case, such as ``.jpg``."""
    return PurePath(path).suffix.lower()


def _of_content(beginning: bytes) -> Kind | None:
    if beginning[4:8] == b"ftyp" and len(beginning) >= 12:
        return _of_brands(beginning)
    return next((kind for pattern, kind in _KNOWN if pattern.match(beginning)), None)


def _of_brands(beginning: bytes) -> Kind:
    end = min(int.from_bytes(beginning[:4], "big"), len(beginning))
    brands = [beginning[8:12], *(beginning[at : at + 4] for at in range(16, end, 4))]
    if brands[0] in _VAGUE_BRANDS:
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), HEIC)
    return _BRANDS.get(brands[0]) or _video("MP4")
