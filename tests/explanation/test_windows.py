from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet import AlexNet
from alexnet.explanation.windows import Field, Window, fields
from alexnet.network.value.changes import resolve
from alexnet.network.value.variants import VARIANTS

from ..network.test_contract import PROGRAM


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_position_sees_its_window_and_nothing_else(variant, place) -> None:
    """The gradient of a position reaches exactly the pixels that it sees, where no weight and no pool hides any."""
    size = 227 if variant != "small" else 64
    check_windows(resolve(variant, width=0.125, norm="none", pool="average", image_size=size, n_classes=2), place)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("pool", ["average", "max"])
def test_a_window_that_hangs_over_sees_what_is_inside(pool, place) -> None:
    """The position is one of the convolution before a max pool, and of the pool before a mean."""
    layers = [replace(layer, norm=None, second_norm=None) for layer in PROGRAM.layers]
    layers = [replace(each, activation_after="pool", pool=replace(each.pool, kind=pool)) for each in layers]
    check_windows(replace(PROGRAM, layers=tuple(layers), activation="relu", mean_image=False), place)


def check_windows(net, place) -> None:
    size = net.image_size
    model = AlexNet(net).eval()
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    images = torch.ones(1, 3, size, size, requires_grad=True)
    outputs = images
    for (name, field), layer in zip(fields(net).items(), net.layers, strict=True):
        modules = dict(model.get_submodule(name).named_children())
        for part in ("conv", *layer.commuted(net.activation)):
            if part == "pool" and layer.pool.kind == "max":
                # The mean hides no position, and its windows are the same.
                pool = layer.pool
                outputs = torch.nn.functional.avg_pool2d(
                    outputs, pool.kernel, pool.stride, ceil_mode=pool.rounding == "up"
                )
            else:
                outputs = modules[part](outputs)
            if part == "activation":
                maps = outputs
        assert maps.shape[-1] == field.n
        number = {"first": 0, "middle": field.n**2 // 2, "last": field.n**2 - 1}[place]
        (gradient,) = torch.autograd.grad(maps[0, 0].flatten()[number], images, retain_graph=True)
        rows, columns = (gradient[0, 0].abs().sum(axis).nonzero().flatten() for axis in (1, 0))
        seen = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        window = field.window(number)
        edges = (window.left, window.top, window.right, window.bottom)
        assert tuple(round(edge * size) for edge in edges) == seen, name


def test_the_fields_of_the_paper() -> None:
    found = [(each.size, each.stride, each.n) for each in fields(VARIANTS["paper"]).values()]
    assert found == [(11, 4, 55), (51, 8, 27), (99, 16, 13), (131, 16, 13), (163, 16, 13)]


def test_a_window_is_cut_out_at_any_size() -> None:
    window = Window(0.5, 0.0, 1.0, 0.25)
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    assert np.array_equal(window.crop(image), image[:2, 4:])
    assert window.crop(np.zeros((100, 100, 3), np.uint8)).shape == (25, 50, 3)
    assert Window(1.0, 1.0, 1.0, 1.0).crop(image).shape == (1, 1, 3), "at least one pixel"


def test_an_enlarged_map_is_largest_where_its_position_looks() -> None:
    field = Field(size=20, stride=20, start=-10, n=5, image_size=80, end=80)
    values = np.zeros((5, 5))
    values[1, 3] = 2.0
    large = field.enlarged(values, 160)
    top, left = np.unravel_index(large.argmax(), large.shape)
    assert (top + 0.5, left + 0.5) == pytest.approx((40, 120), abs=1), (
        "the middles of 10 to 30 and of 50 to 70, doubled"
    )
    assert large.max() == pytest.approx(2, rel=0.05)
    assert (field.enlarged(np.ones((5, 5)), 33) == 1).all()


def test_a_map_of_one_position_covers_the_image() -> None:
    assert (Field(size=50, stride=16, start=0, n=1, image_size=50, end=50).enlarged(np.array([[3.0]]), 7) == 3).all()
