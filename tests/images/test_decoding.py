import csv
import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import ImageError
from alexnet.images.decoding import EXTENSIONS, FORMATS, decode, measure, read
from alexnet.images.preprocessing import fit

from ..conftest import coloured_image, shared_data


def nasty(*expected: str) -> list[tuple[str, str]]:
    """Return pairs of a shared awkward image and what a good loader does with it; none if they are absent."""
    index = Path(__file__).parents[3] / "shared" / "data" / "nasty_images" / "INDEX.tsv"
    if not index.exists():
        return []
    with index.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["file"], row["expect"]) for row in rows if row["expect"] in expected]


# The hopper files were compressed again, so they differ by more than a rotation.
ORIENTED = [
    *((f"exif_orientation/Landscape_{n}.jpg", "exif_orientation/Landscape_1.jpg", 2) for n in range(9)),
    *((f"exif_orientation/Portrait_{n}.jpg", "exif_orientation/Portrait_1.jpg", 2) for n in (1, 6, 8)),
    *((f"pillow/hopper_orientation_{n}.jpg", "pillow/hopper_orientation_2.jpg", 2) for n in range(2, 9)),
    *((f"pillow/hopper_orientation_{n}.jpg", "pillow/hopper.jpg", 5) for n in range(2, 9)),
    ("pillow/hopper_orientation_6.webp", "pillow/hopper.jpg", 5),
]


@pytest.mark.parametrize(("file", "expected"), nasty("LOAD", "ORIENT"))
def test_awkward_images_are_read(file, expected) -> None:
    pixels = decode(shared_data("nasty_images") / file)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    if "16bit" in file or "10ct_32bit" in file or file.endswith("i_trns.png"):
        assert 20 < pixels.mean() < 235, "scaled by its depth, neither black nor white"


def seconds_and_megabytes() -> tuple[float, float]:
    """Return what the slowest awkward image takes, and what the largest one takes, in a process of its own."""
    folder = shared_data("nasty_images")
    script = f"""
import pathlib, time
from alexnet.images.decoding import decode
from alexnet.errors import ImageError
slowest = 0
for path in pathlib.Path({str(folder)!r}).rglob("*"):
    began = time.perf_counter()
    try:
        decode(path)
    except ImageError:
        pass
    slowest = max(slowest, time.perf_counter() - began)
# Not getrusage: that includes the memory of pytest before this process was forked.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(slowest, int(peak) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_image_takes_much_memory() -> None:
    assert seconds_and_megabytes()[1] < 1000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_image_takes_long() -> None:
    assert seconds_and_megabytes()[0] < 2


# Some of the awkward images, each with its grey twin or its approximate mean colour.
@pytest.mark.parametrize(
    ("file", "colour"),
    [
        ("pillow/apng__blend_op_over.png", (255, 0, 0)),
        ("pillow/apng__mode_16bit.png", (255, 0, 0)),
        ("pillow/apng__mode_palette_alpha.png", (255, 0, 0)),
        ("pillow/multipage.tiff", (0, 128, 0)),
        ("pillow/truncated_exif_dpi.jpg", (255, 255, 255)),
    ],
)
def test_the_first_frame_is_taken(file, colour) -> None:
    mean = decode(shared_data("nasty_images") / file).reshape(-1, 3).mean(axis=0)
    assert np.abs(mean - colour).max() < 3


def test_deep_images_equal_their_8_bit_twins() -> None:
    """pytorch #20524: a 16-bit image became white."""
    folder = shared_data("nasty_images") / "pillow"
    shallow = decode(folder / "hopper.png").mean()
    assert decode(folder / "hopper_16bit.pgm").mean() == pytest.approx(shallow, abs=6)
    for name in ("hopper.Lab.tif", "hopper.webp", "avif__hopper.avif", "hopper.gif"):
        assert decode(folder / name).mean() == pytest.approx(shallow, abs=6), name


def test_inverted_cmyk_is_corrected() -> None:
    red, green, blue = (
        decode(shared_data("nasty_images") / "pillow" / "pil_sample_cmyk.jpg").reshape(-1, 3).mean(axis=0)
    )
    assert red > 2 * max(green, blue), "red text on black, not cyan on white"


@pytest.mark.parametrize(("file", "expected"), nasty("BAD"))
def test_broken_images_are_refused_by_name(file, expected, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # one is a HEIC, which needs an optional extra
    with pytest.raises(ImageError, match=Path(file).name) as caught:
        decode(shared_data("nasty_images") / file)
    assert "\n" not in str(caught.value)
    assert len(caught.value.reason) > 5


@pytest.mark.parametrize(("file", "expected"), nasty("TOL"))
def test_damaged_images_give_the_same_result_each_time(file, expected) -> None:
    def outcome() -> object:
        try:
            return decode(shared_data("nasty_images") / file).tobytes()
        except ImageError as error:
            return error.reason

    assert outcome() == outcome()


@pytest.mark.parametrize(("file", "twin", "tolerance"), ORIENTED)
def test_images_are_upright(file, twin, tolerance) -> None:
    """Pillow #9109: images from phones were rotated."""
    folder = shared_data("nasty_images")
    turned, upright = (fit(decode(folder / name), 32).astype(int) for name in (file, twin))
    assert np.abs(upright - turned).mean() < tolerance


@pytest.mark.parametrize(
    ("file", "orientation"),
    [("exif_imagemagick_orientation.png", 3), ("xmp_tags_orientation.png", 3), ("hopper_orientation_6.webp", 6)],
)
def test_orientation_is_applied_in_other_formats(file, orientation) -> None:
    path = shared_data("nasty_images") / "pillow" / file
    with Image.open(path) as image:
        lying = np.asarray(image.convert("RGBA"))[..., :3]
    turned = {3: lying[::-1, ::-1], 6: lying.transpose(1, 0, 2)[:, ::-1]}[orientation]
    pixels = decode(path)
    assert pixels.shape == turned.shape
    # Transparent pixels differ: their hidden colour becomes white.
    assert np.median(np.abs(pixels.astype(int) - turned)) == 0


def test_a_rotated_fax_is_upright() -> None:
    assert decode(shared_data("nasty_images") / "pillow" / "g4_orientation_5.tif").shape == (88, 590, 3)
    assert decode(shared_data("nasty_images") / "pillow" / "orientation_rectangle.jpg").shape == (2, 1, 3)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_bytes_and_files_give_the_same(tmp_path) -> None:
    content = encoded(coloured_image("red", 0), "JPEG")
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
    image = Image.new("RGB", (9, 7), (255, 255, 255)).convert(mode)
    pixels = decode(encoded(image, "TIFF"))
    assert pixels.shape == (7, 9, 3)
    assert pixels.min() > 250


def test_large_jpegs_are_decoded_small_but_never_too_small() -> None:
    content = encoded(Image.new("RGB", (1600, 1200)), "JPEG")
    assert decode(content, min_side=256).shape == (300, 400, 3)
    assert decode(content).shape == (1200, 1600, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"no image at all", "not an image"), (encoded(coloured_image("red", 0))[:900], "damaged")],
)
def test_reasons_are_named(tmp_path, content, reason) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=f"x.png.*{reason}"):
        decode(tmp_path / "x.png")


def test_a_decompression_bomb_costs_nothing() -> None:
    header = bytes.fromhex("424d36000000000000003600000028000000") + (50_000).to_bytes(4, "little") * 2
    with pytest.raises(ImageError, match="pixels"):
        decode(header + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24))


def decode_or_reason(content: bytes) -> np.ndarray | str:
    try:
        return decode(content, max_pixels=10_000_000)
    except ImageError as error:
        return error.reason


def test_2000_damaged_files_are_read_or_refused() -> None:
    """pytorch/vision #138: one file stopped training after hours."""
    rng = random.Random(0)
    whole = [encoded(coloured_image("blue", 1), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")]
    n_read = 0
    for number in range(2000):
        content = bytearray(whole[number % len(whole)])
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.5:
            del content[rng.randint(1, len(content)) :]
        outcome = decode_or_reason(bytes(content))
        if isinstance(outcome, str):
            assert outcome
            assert "\n" not in outcome
        else:
            assert outcome.dtype == np.uint8
            assert outcome.shape[2] == 3
            n_read += 1
    assert 200 < n_read < 1800


def test_the_limit_on_pixels_can_be_changed() -> None:
    content = encoded(Image.new("RGB", (100, 100)))
    with pytest.raises(ImageError, match=r"100x100 pixels, more than the 9,999 allowed by --max-pixels"):
        decode(content, max_pixels=9_999)
    assert decode(content, max_pixels=10_000).shape == (100, 100, 3)


def test_formats_that_run_other_programs_are_not_tried() -> None:
    assert "EPS" not in FORMATS
    with pytest.raises(ImageError, match="EPS inside; convert it to JPEG"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


def test_a_wrong_ending_does_not_matter(tmp_path) -> None:
    (tmp_path / "really a PNG.JPG").write_bytes(encoded(coloured_image("red", 0)))
    decoded = read(tmp_path / "really a PNG.JPG")
    assert (decoded.format, decoded.mode, decoded.sides) == ("PNG", "RGB", (60, 40))


def test_an_opened_image_is_read_and_left_open() -> None:
    image = coloured_image("red", 0)
    assert np.array_equal(decode(image), np.asarray(image))
    assert np.array_equal(decode(image), np.asarray(image))


def test_a_memory_error_is_not_an_image_error(monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("alexnet.images.decoding._to_rgb", fail)
    with pytest.raises(MemoryError):
        decode(encoded(coloured_image("red", 0)))


def test_floats_are_scaled_by_their_range() -> None:
    values = np.linspace(0, 3, 64 * 64, dtype=np.float32).reshape(64, 64)
    assert decode(encoded(Image.fromarray(values), "TIFF")).mean() == pytest.approx(127.5, abs=1)
    assert decode(encoded(Image.fromarray(values / 6), "TIFF")).mean() == pytest.approx(64, abs=1)


def test_known_endings_are_lower_case_with_a_dot() -> None:
    assert all(ending == ending.lower() and ending.startswith(".") for ending in EXTENSIONS)
