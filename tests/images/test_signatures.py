"""File types by content, and the messages for those that cannot be read."""

import io
import struct
import sys

import pytest
from PIL import Image

from alexnet.errors import ImageError
from alexnet.images.decoding import EXTENSIONS, FORMATS, decode, is_image, read
from alexnet.images.signatures import N_BEGINNING, kind_of

from ..conftest import coloured_image
from .files import jpeg_of


def brand(*names: bytes) -> bytes:
    """Return the first box of a file in the QuickTime family: its brand, then the compatible brands."""
    body = b"ftyp" + names[0] + bytes(4) + b"".join(names[1:])
    return struct.pack(">I", len(body) + 4) + body + bytes(100)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    coloured_image("red", 0, (48, 48)).save(buffer, kind)
    return buffer.getvalue()


# Content, the format's name, whether people call it an image, and the message.
FOREIGN = [
    (brand(b"heix", b"mif1", b"heix"), "HEIC", True, "pip install pillow-heif, or convert it to JPEG"),
    (brand(b"mif1", b"mif1", b"heic"), "HEIC", True, "HEIC inside"),
    (brand(b"msf1"), "HEIC", True, "HEIC inside"),
    (brand(b"crx ", b"crx ", b"isom"), "CR3", True, "CR3 inside"),
    (b"\xff\x0a\xd7\x40\x24", "JPEG XL", True, "JPEG XL inside; convert it to JPEG"),
    (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL", True, "JPEG XL inside; convert it to JPEG"),
    (b"II*\0\x10\0\0\0CR\2\0", "CR2", True, "CR2 inside; convert it to JPEG"),
    (b"FUJIFILMCCD-RAW 0201", "RAF", True, "RAF inside"),
    (b"8BPS\0\1", "PSD", True, "PSD inside"),
    (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG", True, "SVG inside"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<SVG width='3'>", "SVG", True, "SVG inside"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "EPS", True, "EPS inside"),
    (bytes(128) + b"DICM", "DICOM", True, "DICOM inside; convert it to PNG"),
    (b"SIMPLE  =                    T", "FITS", True, "FITS inside; convert it to PNG"),
    (b"%PDF-1.7", "PDF", False, "a PDF, not an image"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "LFS", False, "a Git LFS pointer, not an image; run git lfs"),
    (b"\n <!DOCTYPE html><html>", "HTML", False, "an HTML page, not an image; download it again"),
    (b"<!-- sorry --><html>", "HTML", False, "an HTML page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "XML", False, "XML, not an image; download it again"),
    (b'{"message": "rate limit exceeded"}', "JSON", False, "JSON, not an image; download it again"),
    (brand(b"isom", b"iso2", b"avc1"), "MP4", False, "a video (MP4), not an image; extract frames from it"),
    (brand(b"qt  "), "MOV", False, "a video (MOV)"),
    (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV", False, "a video (MOV)"),
    (b"RIFF\0\0\0\0AVI LIST", "AVI", False, "a video (AVI)"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "WebM", False, "a video (WebM)"),
    (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "MKV", False, "a video (MKV)"),
    (b"PK\3\4\x14\0", "zip", False, "a zip archive, not an image; unpack it"),
    (b"\x1f\x8b\x08\0", "gzip", False, "a gzip archive"),
    (bytes(257) + b"ustar", "tar", False, "a tar archive"),
]


@pytest.mark.parametrize(("content", "name", "image", "words"), FOREIGN, ids=[each[1] for each in FOREIGN])
def test_a_file_is_recognised_and_described(content, name, image, words, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    kind = kind_of("photo.jpg", content)
    assert kind is not None
    assert (kind.name, kind.is_image) == (name, image)
    assert is_image("without an ending", content) is image
    with pytest.raises(ImageError) as caught:
        decode(content)
    assert words in caught.value.reason
    assert "damaged" not in caught.value.reason


@pytest.mark.parametrize("kind", [each for each in FORMATS if each != "TGA"])
def test_every_readable_format_has_a_signature(kind) -> None:
    content = encoded(kind)
    found = kind_of("", content[:N_BEGINNING])
    assert (found.name, found.fault) == (kind, "")
    assert is_image("photo.jpg?w=640", content[:N_BEGINNING])


def test_an_avif_with_a_vague_first_brand() -> None:
    assert kind_of("", brand(b"mif1", b"avif", b"mif1")).name == "AVIF"


@pytest.mark.parametrize(
    "text", [b"BMW, and other words", b"P1 is the first", b"", b"GIFT", b"\0" * 600, b"a,b\n1,2\n"]
)
def test_text_and_empty_files_are_not_images(text) -> None:
    assert kind_of("notes.txt", text) is None
    assert not is_image("notes.txt", text)


@pytest.mark.parametrize("ending", ["", ".jpg?w=640", ".JEPG", ".jpg_large", ".jpg~", ".jpeg.", ".heic", ".nef"])
def test_content_counts_more_than_the_ending(tmp_path, ending) -> None:
    path = tmp_path / f"photo{ending}"
    path.write_bytes(encoded("JPEG"))
    assert is_image(path.name, path.read_bytes()[:N_BEGINNING])
    assert read(path).format == "JPEG"


@pytest.mark.parametrize("ending", [".dng", ".nef", ".arw", ".cr2", ".NEF"])
def test_a_cameras_raw_file_is_not_its_thumbnail(tmp_path, ending) -> None:
    """Most are TIFFs. Other programs see their first image, a thumbnail of 160x120 pixels."""
    path = tmp_path / f"photo{ending}"
    path.write_bytes(encoded("TIFF"))
    words = rf"a camera's raw file \({ending[1:].upper()}\); convert it to JPEG"
    for given, where in ((path, None), (path.read_bytes(), path.name)):
        with pytest.raises(ImageError, match=words):
            read(given, where=where)
    assert is_image(path.name, b"raw")


def test_a_heic_is_not_recognised_by_its_ending(tmp_path) -> None:
    (tmp_path / "a.heic").write_text("words")
    assert is_image("a.heic", b"words"), "so that it is named"
    with pytest.raises(ImageError, match="not an image in a known format"):
        read(tmp_path / "a.heic")


@pytest.mark.parametrize("words", [b"the moov and the mdat", b"cat_wide of the mark", b"raw mdat"])
def test_text_is_not_a_video(words) -> None:
    assert kind_of("notes", words) is None


def test_noise_with_a_known_signature_is_not_a_tga() -> None:
    """A TGA has no signature, so a video may pass for one."""
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 8, 8, 24, 0)
    assert decode(header + bytes(8 * 8 * 3)).shape == (8, 8, 3)
    assert not is_image("noise", header)
    assert ".tga" in EXTENSIONS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (jpeg_of(0xC0, 12), "a 12-bit JPEG"),
        (jpeg_of(0xC1, 12, 3, before=b"\xff\xe1\x04\x02" + bytes(1024)), "a 12-bit JPEG"),
        (jpeg_of(0xC3, 16), "a lossless JPEG of 16 bits"),
        (jpeg_of(0xC3, 12, before=b"\xff\xc4\0\x05\0\0\0"), "a lossless JPEG of 12 bits"),
        (jpeg_of(0xF7, 8), "JPEG-LS inside"),
        (jpeg_of(0xF7, 12, before=b"\xff\xe8\0\x20SPIFF\0" + bytes(24)), "JPEG-LS inside"),
        (jpeg_of(0xC5), "a hierarchical JPEG"),
        (jpeg_of(0xC0, 8, 2), "a JPEG of 2 channels"),
    ],
)
def test_an_unusual_jpeg_is_not_reported_as_damaged(content, words) -> None:
    """pydicom #813: radiographs."""
    with pytest.raises(ImageError) as caught:
        decode(content)
    assert caught.value.reason.startswith(words)
    assert caught.value.reason.endswith("; convert it to PNG")
    assert is_image("radiograph", content[:N_BEGINNING])


@pytest.mark.parametrize(
    "content", [b"\xff\xd8\xff", b"\xff\xd8\xff\xc3\0", encoded("JPEG")[:150], encoded("PNG")[:20]]
)
def test_a_truncated_file_is_damaged(content) -> None:
    with pytest.raises(ImageError, match=r"^cannot read image given as bytes: damaged \(.+\)$"):
        decode(content)


def test_large_metadata_do_not_hide_the_format() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "words " * 5000
    coloured_image("red", 0).save(buffer, "JPEG", exif=exif)
    assert is_image("photo", buffer.getvalue()[:N_BEGINNING])
