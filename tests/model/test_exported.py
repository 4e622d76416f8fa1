import copy
import json
import math
import re

import numpy as np
import pytest

from alexnet.model.exported import Export, SelfTest, enlarge

from ..anything import ANYTHING, places, replace_at
from ..exports import NET, SIZE, random_images

PROBABILITIES = np.full((4, 3), 1 / 3, np.float32)


def exported() -> dict:
    images = random_images(4)
    return json.loads(json.dumps(Export("onnx", "int8", {"fc2": 4}, SelfTest(images, PROBABILITIES, 0.02)).to_json()))


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("size", [31, 32])
def test_a_self_test_is_read_back_as_it_was(size, n_channels) -> None:
    half = math.ceil(size / 2)
    halves = np.random.default_rng(0).integers(0, 256, (5, half, half, n_channels), dtype=np.uint8)
    images = enlarge(halves, size)
    assert images.shape == (5, size, size, n_channels)
    assert np.array_equal(images[:, ::2, ::2], halves)
    assert np.array_equal(images[:, 1::2, 1::2], halves[:, : size // 2, : size // 2])
    probabilities = np.random.default_rng(1).dirichlet(np.ones(7), 5).astype(np.float32)
    saved = json.loads(json.dumps(SelfTest(images, probabilities, 0.001).to_json()))
    found = SelfTest.from_json(saved, size, n_channels)
    assert np.array_equal(found.images, images)
    assert np.abs(found.probabilities - probabilities).max() < 1e-7
    assert found.tolerance == 0.001


def test_images_that_would_not_come_back_are_not_saved() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(AssertionError, match="not made by enlarge"):
        SelfTest(noise, PROBABILITIES[:2], 0.1).to_json()


def test_an_export_is_read_back_as_it_was() -> None:
    found = Export.from_json(exported(), NET)
    assert (found.format, found.precision, found.ranks) == ("onnx", "int8", {"fc2": 4})
    assert found.self_test.images.shape == (4, SIZE, SIZE, 3)
    assert found.to_json() == exported()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("format",), "tflite", "unknown format 'tflite'; known: onnx, openvino, torch"),
        (("precision",), "int4", "unknown precision 'int4'"),
        (("ranks",), {"fc9": 4}, "ranks has 'fc9', which is no fully-connected layer"),
        (("ranks", "fc2"), "four", "ranks[fc2] is 'four'"),
        (("self_test",), None, "self_test is None"),
        (("self_test", "tolerance"), 0, "tolerance is 0.0; it must be between 0 and 1"),
        (("self_test", "tolerance"), float("nan"), "tolerance is nan"),
        (("self_test", "probabilities"), [], "rows of equal length"),
        (("self_test", "probabilities", 0), [0.5, 0.5], "rows of equal length"),
        (("self_test", "probabilities", 0, 0), 1.5, "from 0 to 1"),
        (("self_test", "probabilities"), [[0.5, 0.5]] * 4, "2 probabilities for 3 classes"),
        (("self_test", "probabilities"), [[0.5, 0.25, 0.25]], "images are (64, 16, 3), for 1 images of 16 px"),
        (("self_test", "images"), "####", "no PNG in base64"),
        (("self_test", "images"), "aGVsbG8=", "no PNG in base64"),
    ],
)
def test_what_is_wrong_is_named(where, value, message) -> None:
    saved = exported()
    replace_at(saved, where, value)
    with pytest.raises(ValueError, match=re.escape(message)):
        Export.from_json(saved, NET)


def test_any_value_at_any_place_is_refused_or_read() -> None:
    refused = []
    for where in places(exported()):
        for value in ANYTHING:
            saved = copy.deepcopy(exported())
            replace_at(saved, where, value)
            try:
                Export.from_json(saved, NET)
            except ValueError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 300


def test_a_png_that_was_cut_off_is_refused() -> None:
    saved = exported()
    saved["self_test"]["images"] = saved["self_test"]["images"][: len(saved["self_test"]["images"]) // 8 * 4]
    with pytest.raises(ValueError, match="no PNG in base64"):
        Export.from_json(saved, NET)
