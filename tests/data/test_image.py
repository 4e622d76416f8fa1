import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.image import EXTENSIONS, Preprocessing, decode, measure, squash
from alexnet.errors import PictureError

from ..conftest import coloured_picture, shared_data


def nasty(*expected: str) -> list[tuple[str, str]]:
    """Return (file, what a good loader does) of the shared awkward pictures, or nothing where they are absent."""
    index = Path(__file__).parents[3] / "shared" / "data" / "nasty_images" / "INDEX.tsv"
    if not index.exists():
        return []
    with index.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["file"], row["expect"]) for row in rows if row["expect"] in expected]


@pytest.mark.parametrize(("file", "expected"), nasty("LOAD", "ORIENT"))
def test_awkward_pictures_are_read(file, expected) -> None:
    pixels = decode(shared_data("nasty_images") / file)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    if "16bit" in file or "16_bit" in file or "10ct_32bit" in file:
        assert 5 < pixels.mean() < 250, "scaled by its depth, neither black nor white"


@pytest.mark.parametrize(("file", "expected"), nasty("BAD"))
def test_broken_pictures_are_refused_by_name(file, expected) -> None:
    with pytest.raises(PictureError, match=Path(file).name) as caught:
        decode(shared_data("nasty_images") / file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", range(1, 9))
def test_photos_stand_upright(number) -> None:
    folder = shared_data("nasty_images") / "exif_orientation"
    upright = squash(decode(folder / "Landscape_1.jpg"), 32).astype(int)
    turned = squash(decode(folder / f"Landscape_{number}.jpg"), 32).astype(int)
    assert np.abs(upright - turned).mean() < 2


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_bytes_and_files_give_the_same(tmp_path) -> None:
    content = encoded(coloured_picture("red", 0), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    assert np.array_equal(decode(content), decode(tmp_path / "a.jpg"))
    assert measure(content) == (60, 40)


def test_16_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encoded(Image.fromarray(values)))
    assert abs(pixels.mean() - 127.5) < 1


def test_transparent_pixels_become_white() -> None:
    assert decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))).min() == 255
    assert decode(encoded(Image.new("LA", (4, 4), (0, 255)))).max() == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB"])
def test_modes_become_rgb(mode) -> None:
    picture = Image.new("RGB", (9, 7), (255, 255, 255)).convert(mode)
    pixels = decode(encoded(picture, "TIFF"))
    assert pixels.shape == (7, 9, 3)
    assert pixels.min() > 250


def test_large_jpegs_are_decoded_small_but_never_too_small() -> None:
    content = encoded(Image.new("RGB", (1600, 1200)), "JPEG")
    assert decode(content, min_side=256).shape == (300, 400, 3)
    assert decode(content).shape == (1200, 1600, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"no picture at all", "not a picture"), (encoded(coloured_picture("red", 0))[:900], "damaged")],
)
def test_reasons_are_named(tmp_path, content, reason) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(PictureError, match=f"x.png.*{reason}"):
        decode(tmp_path / "x.png")


def test_a_bomb_costs_nothing() -> None:
    header = bytes.fromhex("424d36000000000000003600000028000000") + (50_000).to_bytes(4, "little") * 2
    with pytest.raises(PictureError, match="pixels"):
        decode(header + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24))


def test_damaged_files_are_read_or_refused_and_nothing_else() -> None:
    rng = random.Random(0)
    whole = [encoded(coloured_picture("blue", 1), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")]
    for _ in range(300):
        content = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            assert decode(bytes(content[: rng.randint(1, len(content))])).shape[2] == 3
        except PictureError:
            continue


def test_squash_keeps_all_of_the_picture() -> None:
    pixels = np.zeros((10, 40, 3), dtype=np.uint8)
    pixels[:, :4] = 255
    small = squash(pixels, 10)
    assert small.shape == (10, 10, 3)
    assert small[:, 0].min() > 200
    assert small[:, 2:].max() == 0


def test_preprocessing_goes_by_way_of_the_store() -> None:
    pixels = np.asarray(coloured_picture("green", 3))
    assert np.array_equal(Preprocessing(store_size=32, image_size=67).apply(pixels), squash(squash(pixels, 32), 67))


def test_known_endings_are_lower_case_with_a_dot() -> None:
    assert all(ending == ending.lower() and ending.startswith(".") for ending in EXTENSIONS)
