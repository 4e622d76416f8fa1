import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from alexnet.images import preprocessing
from alexnet.images.decoding import decode
from alexnet.images.preprocessing import GREY_MEAN, GREY_STD, PADDING, Preprocessing, fit, is_grey, resize, to_channels

from ..conftest import coloured_image, shared_data


def wide() -> np.ndarray:
    """Return an image four times as wide as high: a white tenth at its left, a red middle, a blue end."""
    pixels = np.zeros((10, 40, 3), dtype=np.uint8)
    pixels[:, :4] = 255
    pixels[:, 15:25] = (200, 0, 0)
    pixels[:, 36:] = (0, 0, 200)
    return pixels


def test_squash_keeps_all_of_the_image() -> None:
    small = fit(wide(), 10, "squash")
    assert small.shape == (10, 10, 3)
    assert small[:, 0].min() > 200
    assert small[:, -1, 2].min() > 150


def test_crop_keeps_the_middle_and_its_aspect() -> None:
    small = fit(wide(), 10, "crop")
    assert np.array_equal(small, wide()[:, 15:25])


def test_pad_keeps_everything_and_fills_with_the_mean() -> None:
    square = fit(wide(), 40, "pad")
    assert square.shape == (40, 40, 3)
    assert np.array_equal(square[15:25], wide())
    assert (square[:15] == PADDING).all()
    assert (square[25:] == PADDING).all()
    tall = fit(wide().transpose(1, 0, 2), 40, "pad")
    assert np.array_equal(tall, square.transpose(1, 0, 2))


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_a_square_image_is_the_same_in_all_ways(how) -> None:
    pixels = np.asarray(coloured_image("red", 0, (50, 50)))
    assert np.array_equal(fit(pixels, 32, how), resize(pixels, 32, 32))
    assert fit(pixels[:1, :7], 32, how).shape == (32, 32, 3)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 300)] * 2), st.tuples(*[st.integers(1, 300)] * 2), st.integers(0, 9))
@example((286, 168), (239, 172), 4)
def test_torch_and_pillow_resize_alike(before, after, seed) -> None:
    """A network that predicts without torch sees the pixels of training, to one level; single ones to two."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*before, 3), dtype=np.uint8)
    difference = np.abs(preprocessing._by_pillow(pixels, *after).astype(int) - resize(pixels, *after))
    assert difference.max() <= 2
    assert (difference > 1).sum() <= 2


def test_torch_and_pillow_resize_real_images_alike() -> None:
    folder = shared_data("trashnet5") / "test" / "glass"
    for path in sorted(folder.iterdir())[:20]:
        pixels = decode(path)
        assert (np.abs(preprocessing._by_pillow(pixels, 256, 256).astype(int) - resize(pixels, 256, 256)) <= 1).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "RGB", "CMYK"])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_an_image_without_colours_is_grey_however_it_is_stored(mode, ending, tmp_path) -> None:
    if (mode, ending) in {("LA", "jpg"), ("I;16", "jpg"), ("CMYK", "png")}:
        pytest.skip("there is no such file")
    image = coloured_image("green", 1).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    elif mode == "LA":
        image.putalpha(image.rotate(180))
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"image.{ending}")
    assert is_grey(decode(tmp_path / f"image.{ending}"))


def test_one_pixel_of_one_level_is_a_colour() -> None:
    pixels = np.full((40, 40, 3), 7, np.uint8)
    for row in (0, 1, 39):
        for channel in range(3):
            coloured = pixels.copy()
            coloured[row, 5, channel] += 1
            assert not is_grey(coloured)
    assert is_grey(pixels)
    assert not is_grey(np.asarray(coloured_image("red", 1)))


def test_luminance_is_pillows() -> None:
    image = coloured_image("green", 1)
    grey = to_channels(np.asarray(image), 1)
    assert grey.shape == (40, 60, 1)
    assert np.array_equal(grey[..., 0], np.asarray(image.convert("L")))
    assert np.array_equal(to_channels(np.asarray(image), 3), np.asarray(image))


def test_preprocessing_resizes_to_the_store_size_first() -> None:
    pixels = np.asarray(coloured_image("green", 3))
    how = Preprocessing(store_size=32)
    assert np.array_equal(how.apply(pixels, 67), resize(resize(pixels, 32, 32), 67, 67))
    grey = Preprocessing(store_size=32, mean=GREY_MEAN, std=GREY_STD, resize="pad")
    assert grey.apply(pixels, 67).shape == (67, 67, 1)


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_pillow_resizes_where_it_is_asked_for(how, monkeypatch) -> None:
    pixels = np.asarray(coloured_image("green", 3, (97, 41)))
    wanted = fit(pixels, 32, how, "pillow")
    applied = Preprocessing(store_size=32, resize=how, library="pillow").apply(pixels, 67)
    monkeypatch.setattr(preprocessing, "_HAS_TORCH", False)
    assert np.array_equal(wanted, fit(pixels, 32, how))
    assert np.array_equal(applied, Preprocessing(store_size=32, resize=how).apply(pixels, 67))


def test_pillow_resizes_grey_images_as_it_does_colours() -> None:
    colours = np.repeat(np.asarray(coloured_image("red", 2).convert("L"))[..., None], 3, axis=2)
    grey = resize(colours[..., :1], 30, 20, "pillow")
    assert grey.shape == (30, 20, 1)
    assert np.array_equal(grey, resize(colours, 30, 20, "pillow")[..., :1])


def test_without_torch_pillow_resizes(monkeypatch) -> None:
    monkeypatch.setattr(preprocessing, "_HAS_TORCH", False)
    pixels = np.asarray(coloured_image("green", 3))
    expected = Image.fromarray(pixels).resize((20, 30), Image.Resampling.BILINEAR)
    assert np.array_equal(resize(pixels, 30, 20), np.asarray(expected))
