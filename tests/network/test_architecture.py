import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet import AlexNet, Architecture
from alexnet.errors import SettingsError
from alexnet.network.architecture import VARIANTS, Conv, Pool, resolve, trace


def test_counts_are_those_of_the_reference_document() -> None:
    assert resolve(n_classes=3).n_parameters == 46_762_051
    assert resolve().n_parameters == 50_846_760
    assert round(resolve(n_classes=3).n_mult_adds / 1e9, 2) == 1.01


def test_default_network_needs_67_pixels() -> None:
    assert VARIANTS["batchnorm"].smallest_image_size == 67
    assert resolve(image_size=67).image_size == 67
    with pytest.raises(SettingsError, match="67"):
        resolve(image_size=66)


def test_parameters_do_not_depend_on_the_picture_size() -> None:
    assert resolve(image_size=128).n_parameters == resolve(image_size=300).n_parameters == resolve().n_parameters


convs = st.builds(
    Conv,
    channels=st.integers(1, 5),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    pool=st.none() | st.builds(Pool, kernel=st.integers(1, 3), stride=st.integers(1, 3)),
)


@settings(max_examples=60, deadline=None)
@given(
    layers=st.lists(convs, min_size=1, max_size=4),
    hidden=st.lists(st.integers(1, 8), max_size=2),
    grid=st.integers(1, 3),
    in_channels=st.integers(1, 4),
    extra=st.integers(0, 9),
    norm=st.sampled_from(["batch", "none"]),
)
def test_arithmetic_is_what_the_module_does(layers, hidden, grid, in_channels, extra, norm) -> None:
    net = Architecture(
        layers=tuple(layers), hidden=tuple(hidden), grid=grid, in_channels=in_channels, norm=norm, n_classes=3,
        image_size=10_000,
    )  # fmt: skip
    net = replace(net, image_size=net.smallest_image_size + extra)
    model = AlexNet(net).eval()
    shapes = []
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        model(torch.zeros(1, in_channels, net.image_size, net.image_size))
    # Pooling to the grid is a function, not a module.
    assert shapes == [op.shape for op in trace(net) if op.kind != "AdaptiveAvgPool"]
    assert net.n_parameters == sum(parameter.numel() for parameter in model.parameters())


@settings(max_examples=30, deadline=None)
@given(layers=st.lists(convs, min_size=1, max_size=4))
def test_one_pixel_less_than_the_smallest_size_is_refused(layers) -> None:
    net = Architecture(layers=tuple(layers), image_size=10_000)
    smallest = replace(net, image_size=net.smallest_image_size)
    assert all(min(op.shape) >= 1 for op in trace(smallest))
    if smallest.image_size > 1:
        with pytest.raises(SettingsError):
            replace(net, image_size=smallest.image_size - 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_json_round_trip(variant) -> None:
    net = resolve(variant, n_classes=7)
    assert Architecture.from_json(json.loads(json.dumps(net.to_json()))) == net


def test_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'n_classes'"):
        Architecture.from_json({**resolve().to_json(), "n_clases": 3})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_classes": 0}, "n_classes is 0"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"layers": ()}, "at least one"),
        ({"n_classes": 2.5}, "whole number"),
        ({"hidden": (-1,)}, "a hidden size is -1"),
        ({"norm": "bacth"}, "did you mean 'batch'"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
    ],
)
def test_what_cannot_be_built_is_refused(change, message) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(Architecture(), **change)


@pytest.mark.parametrize("bad", [{"channels": 0}, {"stride": 0}, {"padding": -1}])
def test_layers_that_cannot_be_built_are_refused(bad) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Conv(**{"channels": 4, "kernel": 3, **bad})


def test_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'batchnorm'"):
        resolve("batchnrom")
