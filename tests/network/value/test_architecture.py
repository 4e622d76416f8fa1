import json
from dataclasses import replace

import pytest
import torch
import torchinfo
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet import AlexNet, Architecture
from alexnet.errors import SettingsError
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import BatchNorm, Conv, GroupNorm, LocalNorm, MapNorm, Pool
from alexnet.network.value.variants import VARIANTS

from ...html.page import HOSTILE, Page


def test_default_network_needs_67_pixels() -> None:
    assert VARIANTS["batchnorm"].smallest_image_size == 67
    assert resolve(image_size=67).image_size == 67
    with pytest.raises(SettingsError, match=r"67 px: conv5's pool of 3x3 would see 2x2"):
        resolve(image_size=66)


def test_parameters_do_not_depend_on_the_image_size() -> None:
    assert resolve(image_size=128).n_parameters == resolve(image_size=300).n_parameters == resolve().n_parameters


roundings = st.sampled_from(["down", "up"])


@st.composite
def pools(draw) -> Pool:
    kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rounding = draw(roundings) if stride <= kernel else "down"
    return Pool(kind=draw(st.sampled_from(["max", "average"])), kernel=kernel, stride=stride, rounding=rounding)


def second_norms(places: list[str]) -> st.SearchStrategy:
    place = st.sampled_from(places)
    return st.builds(MapNorm, place=place) | st.builds(LocalNorm, place=place, groups=st.just(2) | st.just(1))


@st.composite
def layer_lists(draw) -> tuple[Conv, ...]:
    """Layers whose groups divide the channels; a third of them with more than one group."""
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        groups = draw(st.sampled_from([1, 1, 2]))
        channels = 2 * draw(st.integers(2, 4))
        pool = draw(st.none() | pools())
        places = ["before", "after", "pooled"] if pool else ["before", "after"]
        place = draw(st.sampled_from(places))
        norm = draw(
            st.sampled_from(
                [
                    None,
                    BatchNorm(place=place),
                    GroupNorm(place=place, n_groups=groups),
                    LocalNorm(place=place, size=3, groups=groups),
                    MapNorm(place=place, size=draw(st.integers(1, 3))),
                ]
            )
        )
        kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
        layer = Conv(
            channels=channels, kernel=kernel, stride=stride, padding=draw(st.integers(0, 2)), groups=groups,
            rounding=draw(roundings) if stride <= kernel else "down",
            norm=norm, pool=pool,
            second_norm=draw(st.none() | second_norms(places)) if norm else None,
            activation_after=draw(st.sampled_from(["conv", "pool"])) if pool else "conv",
        )  # fmt: skip
        if layers and layers[-1].channels % groups:
            layer = replace(layer, groups=1)
        layers.append(layer)
    return tuple(layers)


@settings(max_examples=60, deadline=None)
@given(
    layers=layer_lists(),
    hidden=st.lists(st.integers(1, 8), max_size=3),
    grid=st.integers(1, 3),
    in_channels=st.sampled_from([2, 4]),
    activation=st.sampled_from(["relu", "tanh", "gelu", "silu"]),
    dropout_place=st.sampled_from(["inputs", "outputs"]),
    extra=st.integers(0, 9),
)
def test_shapes_and_counts_equal_the_modules(
    layers, hidden, grid, in_channels, activation, dropout_place, extra
) -> None:
    net = Architecture(
        layers=layers, hidden=tuple(hidden), grid=grid, in_channels=in_channels, activation=activation, n_classes=3,
        image_size=10_000, dropout_place=dropout_place,
    )  # fmt: skip
    net = replace(net, image_size=net.smallest_image_size + extra)
    model = AlexNet(net).eval()
    shapes = []
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    counted = torchinfo.summary(model, (1, in_channels, net.image_size, net.image_size), device="cpu", verbose=0)
    # Pooling to the grid is a function, not a module.
    assert shapes == [op.shape for op in net.operations() if op.kind != "AdaptiveAvgPool"]
    assert net.n_parameters == sum(parameter.numel() for parameter in model.parameters()) == counted.total_params
    assert net.n_mult_adds == counted.total_mult_adds


@settings(max_examples=30, deadline=None)
@given(layers=layer_lists())
def test_the_smallest_size_works_and_one_pixel_less_is_refused(layers) -> None:
    net = Architecture(layers=layers, hidden=(4,), n_classes=2, in_channels=2, image_size=10_000)
    smallest = replace(net, image_size=net.smallest_image_size)
    assert all(min(op.shape) >= 1 for op in smallest.operations())
    side = smallest.image_size
    with torch.inference_mode():
        assert AlexNet(smallest).eval()(torch.zeros(2, 2, side, side)).shape == (2, 2)
    if side > 1:
        with pytest.raises(SettingsError, match=f"use {side} or more"):
            replace(net, image_size=side - 1)
        with pytest.raises(SettingsError, match=f"{side} px"):
            AlexNet(net)(torch.zeros(1, 2, side - 1, side))


@pytest.mark.parametrize("variant", VARIANTS)
def test_json_round_trip(variant) -> None:
    net = resolve(variant, n_classes=7)
    assert Architecture.from_json(json.loads(json.dumps(net.to_json()))) == net


def test_missing_json_fields_are_as_in_the_default_network() -> None:
    assert Architecture.from_json({"hidden": [8]}) == replace(Architecture(), hidden=(8,))
    norm = {"kind": "group", "n_groups": 4}
    layer = Architecture.from_json({"layers": [{"channels": 8, "kernel": 3, "norm": norm}]}).layers[0]
    assert layer == Conv(channels=8, kernel=3, norm=GroupNorm(n_groups=4))


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"n_clases": 3}, "did you mean 'n_classes'"),
        ({"layers": [{"chanels": 8, "kernel": 3}]}, "did you mean 'channels'"),
        ({"layers": [{"channels": 8, "kernel": 3}, {"channels": 8}]}, "conv2: the layer lacks 'kernel'"),
        ({"layers": [{"channels": 8, "kernel": 2.5}]}, "conv1: a layer's kernel is 2.5"),
        (
            {"layers": [{"channels": 8, "kernel": 3, "norm": "batch"}]},
            "conv1: the norm is 'batch'; write it as an object",
        ),
        ({"layers": [{"channels": 8, "kernel": 3, "pool": False}]}, "the pool is False; write it as an object"),
        ({"layers": [None]}, "the layer is None; write it as an object"),
        ({"layers": [{"channels": 8, "kernel": 3, "norm": {"kind": "bacth"}}]}, "did you mean 'batch'"),
        ({"layers": [{"channels": 8, "kernel": 3, "norm": {"kind": "batch", "size": 5}}]}, "'size' in the batch norm"),
        ({"layers": [{"channels": 8, "kernel": 3, "pool": {"kernl": 2}}]}, "did you mean 'kernel'"),
        ({"layers": [{"channels": "8", "kernel": 3}]}, "channels is '8'; it must be a whole number"),
        ({"layers": "conv"}, "must be a list"),
        ({"layers": 3}, "must be a list"),
        ({"hidden": 3}, "hidden is 3; it must be a list of sizes"),
        ({"variant": 5}, "variant is 5"),
    ],
)
def test_invalid_json_is_refused(saved, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Architecture.from_json(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_classes": 0}, "n_classes is 0"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"layers": ()}, "at least one"),
        ({"n_classes": 2.5}, "whole number"),
        ({"hidden": (-1,)}, "a size in hidden is -1"),
        ({"hidden": 256}, "a list of sizes"),
        ({"dropout": False}, "dropout is False"),
        ({"layers": (3,)}, "a tuple of Conv"),
        ({"initialisation": "papr"}, "did you mean 'paper'"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"layers": (Conv(channels=6, kernel=3, groups=2),)}, "conv1 has 2 groups, for 3 channels in .* use 1 or 3"),
    ],
)
def test_invalid_architectures_are_refused(change, message) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(Architecture(), **change)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"channels": 0}, "channels"),
        ({"stride": 0}, "stride"),
        ({"padding": -1}, "padding"),
        ({"groups": 0}, "groups"),
        ({"norm": GroupNorm(n_groups=3)}, "4 channels cannot be normalised in 3 groups of two or more; use 1 or 2$"),
        ({"norm": GroupNorm(n_groups=4)}, "in 4 groups of two or more; use 1 or 2$"),
        ({"channels": 1, "norm": GroupNorm(n_groups=1)}, "use no group norm$"),
        ({"norm": BatchNorm(place="pooled")}, "has no pool"),
        ({"norm": "batch"}, "must be a BatchNorm"),
        ({"pool": "max"}, "must be a Pool"),
    ],
)
def test_invalid_layers_are_refused(bad, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Conv(**{"channels": 4, "kernel": 3, **bad})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pool(kind="min"), "unknown pool 'min'"),
        (lambda: Pool(kernel=0), "kernel is 0"),
        (lambda: BatchNorm(place="befor"), "did you mean 'before'"),
        (lambda: LocalNorm(size=0), "size is 0"),
        (lambda: LocalNorm(beta=-1.0), "beta is -1.0"),
        (lambda: LocalNorm(k=0), "above 0"),
        (lambda: BatchNorm(kind="group"), "kind of a batch norm"),
    ],
)
def test_invalid_parts_are_refused(build, message) -> None:
    with pytest.raises(SettingsError, match=message):
        build()


@pytest.mark.parametrize("net", [*VARIANTS.values(), Architecture(variant=HOSTILE, n_classes=3)])
def test_a_notebook_shows_every_operation(net) -> None:
    page = Page(net._repr_html_())
    assert len(page.all("tr")) == 1 + len([*net.operations()])
    assert f"AlexNet, {net.variant}{net.n_parameters:,} parameters, {net.n_mult_adds:,} multiply-adds" in page.text
    name, n_inputs, n_outputs = [*net.linear_layers()][-1]
    assert f"{name}Linear{n_outputs}{(n_inputs + 1) * n_outputs:,}" in page.text
    assert page.names == {"div", "table", "tr", "th", "td"}
