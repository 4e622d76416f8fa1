import json

import numpy as np
import pytest

from alexnet.data.batches.examples import Examples
from alexnet.explanation.activations import Peaks
from alexnet.explanation.channels import strongest
from alexnet.explanation.gallery import Gallery, Patches
from alexnet.explanation.windows import Field

FIELD = Field(size=10, stride=10, start=0, n=4, image_size=40, end=40)
NO_IMAGES = Examples(np.empty((0, 4, 4, 3), np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))


def gallery_of(mean: list[float], std: list[float]) -> Gallery:
    n = len(mean)
    patches = Patches(
        images=np.tile([2, 0], (n, 1)),
        places=np.tile([15, 0], (n, 1)),
        mean=np.array(mean, np.float32),
        std=np.array(std, np.float32),
    )
    return Gallery(
        ("a.jpg", "b.jpg", "c.jpg"), ("x", "y", "z"), np.zeros((3, 1), np.float16), {"conv1": patches}, NO_IMAGES
    )


def peaks_of(*values: float) -> Peaks:
    return Peaks(np.array([values], np.float32), np.arange(len(values))[None])


def test_a_channel_that_is_always_large_does_not_win() -> None:
    gallery = gallery_of(mean=[100, 1, 1], std=[10, 0.5, 0.5])
    found = strongest("conv1", peaks_of(101, 1.1, 3), FIELD, gallery, n=2)
    assert [each.number for each in found] == [2, 1]
    assert [each.strength for each in found] == pytest.approx([4, 0.2], abs=1e-6)


def test_a_channel_says_where_in_this_image_and_in_others() -> None:
    (found,) = strongest("conv1", peaks_of(0, 0, 5), FIELD, gallery_of([0] * 3, [1] * 3), n=1)
    assert (found.layer, found.number) == ("conv1", 2)
    assert (found.window.left, found.window.top, found.window.right, found.window.bottom) == (0.5, 0, 0.75, 0.25)
    assert [(each.path, each.label, each.row) for each in found.patches] == [("c.jpg", "z", 2), ("a.jpg", "x", 0)]
    assert (found.patches[0].window.left, found.patches[0].window.top) == (0.75, 0.75)


def test_a_channel_that_is_always_the_same_has_no_strength() -> None:
    found = strongest("conv1", peaks_of(5, 2, 9), FIELD, gallery_of([0, 1, 0], [0, 1, 1e-45]))
    assert [each.number for each in found] == [2, 1, 0]
    assert found[2].strength == 0
    json.dumps([each.to_json() for each in found], allow_nan=False)
