"""The preprocessing in JavaScript against the one in Python."""

import base64

import numpy as np
import pytest

from alexnet.images.preprocessing import Preprocessing

RUN = """([text, width, height, how]) =>
  Array.from(preprocess({ data: fromBase64(text), width, height }, how))"""


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
@pytest.mark.parametrize("n_channels", [3, 1])
@pytest.mark.parametrize(("width", "height"), [(90, 61), (61, 90), (40, 40), (400, 3), (31, 17)])
def test_pixels_are_those_of_python_within_a_level(width, height, how, n_channels, compute) -> None:
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    preprocessing = Preprocessing(store_size=48, mean=(0.5,) * n_channels, std=(0.2,) * n_channels, resize=how)
    expected = preprocessing.apply(noise, 35)
    settings = {"size": 35, "channels": n_channels, "store_size": 48, "resize": how}
    found = compute.evaluate(RUN, [base64.b64encode(noise.tobytes()).decode(), width, height, settings])
    off = np.abs(np.array(found).reshape(expected.shape) - expected.astype(int))
    assert off.max() <= 1
    assert (off > 0).mean() < 0.05


def test_padding_of_half_a_pixel_is_as_in_python(compute) -> None:
    # 48 * 3 / 32 is 4.5, which Python rounds to 4.
    image = np.full((3, 32, 3), 255, np.uint8)
    expected = Preprocessing(store_size=48, resize="pad").apply(image, 48)
    settings = {"size": 48, "channels": 3, "store_size": 48, "resize": "pad"}
    found = compute.evaluate(RUN, [base64.b64encode(image.tobytes()).decode(), 32, 3, settings])
    assert np.array_equal(np.array(found).reshape(expected.shape), expected)
