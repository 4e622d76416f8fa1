import io

import numpy as np
import pytest
from PIL import Image

from alexnet.data.duplicates import NEAR, duplicates, near_duplicates, perceptual_hash, pixel_digest
from alexnet.data.source import LabelledImage
from alexnet.images.decoding import decode

from ..conftest import shared_data


def test_the_nearest_is_found_among_many(monkeypatch) -> None:
    """In blocks, with the same result as counting bit by bit."""
    monkeypatch.setattr("alexnet.data.neighbours._MOST_DISTANCES", 3000)
    rng = np.random.default_rng(0)
    hashes = {
        f"{split}{i}": int(rng.integers(0, 2**64, dtype=np.uint64)) for split in ("train", "test") for i in range(400)
    }
    for i in range(0, 400, 40):
        hashes[f"test{i}"] = hashes[f"train{i + 7}"] ^ (2 ** (i // 40) - 1)  # 0 to 9 bits differ
    images = [LabelledImage(path, "a", path.rstrip("0123456789")) for path in hashes]
    found = {(one.path, other.path, n) for one, other, n in near_duplicates(images, lambda path: path, hashes.get)}
    assert found == {(f"train{40 * n + 7}", f"test{40 * n}", n) for n in range(7)}


def test_a_pixel_digest_depends_on_the_shape() -> None:
    pixels = np.arange(72, dtype=np.uint8)
    assert pixel_digest(pixels.reshape(4, 6, 3)) != pixel_digest(pixels.reshape(6, 4, 3))
    assert duplicates([LabelledImage("a", "x"), LabelledImage("b", "x")], lambda path: path) == []


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (31, 500)])
def test_images_of_any_size_have_a_hash(size) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert perceptual_hash(noise) is not None or size == (1, 1)
    assert perceptual_hash(np.full((*size, 3), 200, np.uint8)) is None


def test_compressing_and_shrinking_an_image_change_few_bits() -> None:
    for image in sorted(shared_data("trashnet5").glob("test/*/*.jpg"))[::40]:
        pixels = decode(image)
        buffer = io.BytesIO()
        half = Image.fromarray(pixels).resize((pixels.shape[1] // 2, pixels.shape[0] // 2))
        half.save(buffer, "JPEG", quality=50)
        before, after = perceptual_hash(pixels), perceptual_hash(decode(buffer.getvalue()))
        assert before is not None
        assert after is not None
        assert (before ^ after).bit_count() <= NEAR
