"""HEIC, from phones: read with pillow-heif, reported as unusable without."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from alexnet.data.check import check
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.folders.layout import open_container
from alexnet.data.store.store import prepare
from alexnet.errors import ImageError
from alexnet.images.decoding import decode, measure, read
from alexnet.inference.inputs import expand

from ..conftest import coloured_image, shared_data

WITHOUT = "HEIC inside; pip install pillow-heif, or convert it to JPEG"


@pytest.fixture
def pillow_heif():
    return pytest.importorskip("pillow_heif", reason="needs the extra heif")


@pytest.fixture
def without_heif(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)


def scene() -> Image.Image:
    """Return an image that differs in every orientation, and survives compression."""
    y, x = np.mgrid[:48, :64]
    pixels = np.stack([x * 4, y * 5, x + y], axis=-1).astype(np.uint8)
    pixels[:10, :16] = 255
    return Image.fromarray(pixels)


def heic_of(pillow_heif, *images: Image.Image, **options: object) -> bytes:
    file = pillow_heif.HeifFile()
    for image in images:
        file.add_from_pillow(image)
    buffer = io.BytesIO()
    file.save(buffer, quality=95, **options)
    return buffer.getvalue()


def distance(one: np.ndarray, other: object) -> float:
    assert one.shape == np.asarray(other).shape
    return float(np.abs(one.astype(int) - np.asarray(other)).mean())


def test_it_is_read_under_any_name(pillow_heif, tmp_path) -> None:
    (tmp_path / "IMG_1.JPG").write_bytes(heic_of(pillow_heif, scene()))
    decoded = read(tmp_path / "IMG_1.JPG")
    assert (decoded.format, decoded.mode, decoded.sides) == ("HEIF", "RGB", (64, 48))
    assert distance(decoded.pixels, scene()) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright_and_rotated_once(pillow_heif, orientation) -> None:
    """Phones store the orientation twice: in a property that libheif obeys, and in EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_heif.misc.CtxEncode(1, quality=95)
    image = scene()
    file.add_image(image.size, "RGB", image.tobytes(), image_orientation=orientation, primary=True, exif=exif.tobytes())
    buffer = io.BytesIO()
    file.save(buffer)
    image.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(image)
    assert distance(decode(buffer.getvalue()), upright) < 2
    assert measure(buffer.getvalue()) == upright.size


def test_ten_bits_are_as_bright_as_eight(pillow_heif) -> None:
    deep = np.asarray(scene()).astype(np.uint16) * 257
    file = pillow_heif.from_bytes("RGB;16", (64, 48), deep.tobytes())
    buffer = io.BytesIO()
    file.save(buffer, quality=95)
    assert pillow_heif.open_heif(buffer.getvalue(), convert_hdr_to_8bit=False).info["bit_depth"] == 10
    assert distance(decode(buffer.getvalue()), scene()) < 2


def test_a_dark_grey_of_ten_bits_stays_dark(pillow_heif) -> None:
    dark = np.full((48, 64), 3000, np.uint16)
    file = pillow_heif.from_bytes("L;16", (64, 48), dark.tobytes())
    buffer = io.BytesIO()
    file.save(buffer, quality=95)
    assert decode(buffer.getvalue()).max() == pytest.approx(3000 / 257, abs=1.5)


def test_the_primary_image_is_taken_of_several(pillow_heif) -> None:
    images = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (32, 32), "blue")
    pixels = decode(heic_of(pillow_heif, *images, primary_index=1))
    assert pixels.shape == (32, 32, 3)
    assert pixels[..., 2].min() > 240


def test_a_thumbnail_is_not_taken_for_the_image(pillow_heif) -> None:
    content = heic_of(pillow_heif, scene().resize((640, 480)), thumbnails=[320])
    assert decode(content, min_side=64).shape == (480, 640, 3)


def test_transparent_pixels_are_white(pillow_heif) -> None:
    image = scene()
    image.putalpha(0)
    assert decode(heic_of(pillow_heif, image)).min() > 250


def test_it_is_measured_before_it_is_decoded(pillow_heif) -> None:
    content = heic_of(pillow_heif, scene())
    with pytest.raises(ImageError, match="it claims 64x48 pixels, more than the 100 allowed"):
        read(content, max_pixels=100)


@pytest.mark.parametrize("kept", [20, 100, 300, -100])
def test_one_that_is_cut_off_is_damaged(pillow_heif, kept) -> None:
    with pytest.raises(ImageError, match="damaged"):
        read(heic_of(pillow_heif, scene())[:kept])


def test_a_damaged_one_is_one_line(pillow_heif) -> None:
    content = bytearray(heic_of(pillow_heif, scene()))
    at = content.find(b"iloc") + 20
    content[at : at + 2] = b"\xff\xff"  # the number of extents of its first item
    with pytest.raises(ImageError, match="damaged") as caught:
        decode(bytes(content))
    assert "\n" not in str(caught.value)


def test_a_real_one_looks_like_the_same_image_as_png(pillow_heif) -> None:
    folder = shared_data("nasty_images") / "pillow"
    assert decode(folder / "avif__hopper.heif").mean() == pytest.approx(decode(folder / "hopper.png").mean(), abs=6)


def phone(folder, content: bytes) -> None:
    """Make two classes, one with a HEIC under each kind of name, and a JPEG named HEIC."""
    for label in ("blue", "red"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            coloured_image(label, number).save(folder / label / f"{number}.jpg")
    for name in ("a.heic", "b.HIF", "c.jpg"):
        (folder / "red" / name).write_bytes(content + name.encode())
    coloured_image("red", 7).save(folder / "red" / "d.HEIC", "JPEG")


def test_a_phones_folder_is_read(pillow_heif, tmp_path) -> None:
    phone(tmp_path, heic_of(pillow_heif, scene()))
    source = open_container(Folder(tmp_path))
    assert not prepare(source).skipped
    report = check(source)
    assert (report.n_usable, report.unusable) == (10, ())
    wrong = {finding.what: finding.paths for finding in report.warnings if finding.kind == "wrong_ending"}
    assert wrong == {"named HEIC, but JPEG inside": ("red/d.HEIC",), "named JPEG, but HEIC inside": ("red/c.jpg",)}


def test_without_the_extra_all_commands_give_the_same_reason(without_heif, tmp_path) -> None:
    phone(tmp_path, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    source = open_container(Folder(tmp_path))
    named = {f"red/{name}": WITHOUT for name in ("a.heic", "b.HIF", "c.jpg")}
    assert prepare(source).skipped == named
    assert dict(check(source).unusable) == named
    found = {str(path.relative_to(tmp_path)) for path in expand(tmp_path)}
    assert found == {each.path for each in source.images}
    for path in named:
        with pytest.raises(ImageError) as caught:
            decode(tmp_path / path)
        assert caught.value.reason == WITHOUT


def test_what_was_refused_is_read_once_the_extra_is_there(pillow_heif, tmp_path, monkeypatch) -> None:
    phone(tmp_path, heic_of(pillow_heif, scene()))
    source = open_container(Folder(tmp_path))
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pillow_heif", None)
        patched.setattr("alexnet.data.store.catalogue.heic_reader", lambda: "")
        assert len(prepare(source).skipped) == 3
    assert not prepare(source).skipped


def test_nothing_is_imported_or_registered_for_the_whole_process() -> None:
    script = """
import io, sys
from PIL import Image
from alexnet.images.decoding import decode
buffer = io.BytesIO()
Image.new("RGB", (8, 8)).save(buffer, "PNG")
decode(buffer.getvalue())
assert "pillow_heif" not in sys.modules
try:
    decode(b"\\0\\0\\0\\x18ftypheic" + bytes(100))
except Exception as error:
    assert "cannot read image" in str(error)
assert "HEIF" not in Image.OPEN and ".heic" not in Image.registered_extensions()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
