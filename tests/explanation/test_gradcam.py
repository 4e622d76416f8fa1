import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from alexnet import VARIANTS, AlexNet
from alexnet.explanation.activations import activations
from alexnet.explanation.gradcam import Head, class_maps, covers
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import BatchNorm, Conv, GroupNorm, LocalNorm, MapNorm, Pool

from ..network.test_contract import PROGRAM

narrow = partial(resolve, width=0.125, hidden=(24, 16), n_classes=7)
SMALL = narrow("small")


def with_last(**changes):
    """Return the small network with another last layer."""
    return replace(SMALL, layers=(*SMALL.layers[:-1], replace(SMALL.layers[-1], **changes)))


NETS = {name: narrow(name) for name in VARIANTS} | {
    "tanh": narrow("paper", activation="tanh"),
    "no hidden": narrow("torchvision", hidden=(), activation="gelu"),
    "three hidden": narrow("batchnorm", hidden=(20, 30, 10)),
    "average pool": narrow("batchnorm", pool="average"),
    "separate pool": narrow("batchnorm", pool="separate"),
    "no last pool": with_last(pool=None),
    "batch norm after the pool": with_last(norm=BatchNorm(place="pooled")),
    "batch norm after the activation": with_last(norm=BatchNorm(place="after")),
    "local norm before the pool": with_last(norm=LocalNorm(place="after")),
    "group norm before the pool": with_last(norm=GroupNorm(n_groups=2, place="after")),
    "maps larger than the grid": narrow("small", image_size=64),
    "maps smaller than the grid": narrow("batchnorm", image_size=67),
    "grey": narrow("small", in_channels=1),
    "one layer": replace(SMALL, layers=(Conv(channels=8, kernel=5, stride=2, pool=Pool()),)),
    "every window hangs over": replace(PROGRAM, n_classes=7),
    "average pool that hangs over": with_last(pool=Pool(kind="average", kernel=4, stride=3, rounding="up")),
    "activation after the pool": with_last(
        activation_after="pool", norm=BatchNorm(place="after"), pool=Pool(kernel=4, stride=3, rounding="up")
    ),
    "inputs scaled in prediction": replace(SMALL, dropout=0.3, dropout_scaling="prediction"),
    "outputs scaled in prediction": narrow("paper", activation="tanh", dropout=0.3),
    "a mean image": replace(SMALL, mean_image=True),
}


@pytest.mark.parametrize("name", NETS)
def test_maps_equal_captums(name) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from captum.attr import LayerGradCam
    net = NETS[name]
    assert covers(net) is None
    model = made(net)
    images, classes = torch.randn(4, net.in_channels, net.image_size, net.image_size), np.array([0, 6, 3, 3])
    seen = activations(model, images)
    mine = class_maps(head(model), seen.maps, classes)

    net = rectified_first(net)
    model = with_weights_of(model, net)
    assert np.allclose(model(images).detach(), made(NETS[name])(images).detach(), atol=1e-6)
    layer, parts = model.get_submodule(f"conv{len(net.layers)}"), net.layers[-1].parts
    read_by_pool = parts[parts.index("pool") - 1] if "pool" in parts else parts[-1]
    captum = LayerGradCam(model, layer.get_submodule(read_by_pool))
    theirs = captum.attribute(images, torch.from_numpy(classes), relu_attributions=True)[:, 0].detach().numpy()
    assert mine.shape == theirs.shape
    assert theirs.max() > 0
    assert np.abs(mine - theirs).max() < 1e-5 * theirs.max(), "of its largest value, which may be small"


def rectified_first(net):
    """Return the same network with the activation before the last pool, and what follows it still after the pool."""
    *before, last = net.layers
    if last.activation_after == "pool" and last.norm is not None and last.norm.place == "after":
        last = replace(last, norm=replace(last.norm, place="pooled"))
    return replace(net, layers=(*before, replace(last, activation_after="conv")))


def with_weights_of(model: AlexNet, net) -> AlexNet:
    other = AlexNet(net).eval()
    other.load_state_dict(model.state_dict())
    return other


def made(net) -> AlexNet:
    """Return a network in which no norm is what it is at the start."""
    torch.manual_seed(0)
    model = AlexNet(replace(net, initialisation="torch")).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.normal_(1, 0.5)
    if model.mean_image is not None:
        model.mean_image.normal_()
    return model


def weights_of(model: AlexNet) -> dict[str, np.ndarray]:
    return {name: each.numpy() for name, each in model.state_dict().items()}


def head(model: AlexNet) -> Head:
    return Head.of(model.architecture, weights_of(model))


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (narrow("batchnorm", activation="gelu"), "not available for the activation gelu, only for relu and tanh"),
        (narrow("batchnorm", activation="silu"), "not available for the activation silu"),
        (with_last(norm=LocalNorm(place="pooled")), "not available with a LocalResponseNorm after the last pool"),
        (with_last(norm=GroupNorm(n_groups=2, place="pooled")), "not available with a GroupNorm after the last pool"),
        (
            with_last(norm=BatchNorm(), second_norm=MapNorm(place="pooled")),
            "not available with a MapResponseNorm after the last pool",
        ),
        (
            with_last(norm=LocalNorm(place="after"), activation_after="pool"),
            "not available with a LocalResponseNorm after the last pool",
        ),
        (
            with_last(norm=BatchNorm(place="pooled"), activation_after="pool"),
            "not available with a BatchNorm between the last pool and its activation",
        ),
        (
            with_last(pool=Pool(kind="average"), activation_after="pool"),
            "not available with the activation ReLU after the last AvgPool",
        ),
        (
            replace(with_last(activation_after="pool"), hidden=(), activation="gelu"),
            "not available with the activation GELU after the last MaxPool",
        ),
    ],
)
def test_other_networks_are_refused_by_name(net, reason) -> None:
    assert reason in str(covers(net))


def test_each_image_has_a_map_of_its_own() -> None:
    model = made(SMALL)
    seen = activations(model, torch.randn(3, 3, 32, 32))
    together = class_maps(head(model), seen.maps, np.array([0, 1, 2]))
    for number in range(3):
        alone = class_maps(head(model), seen.maps[[number]], np.array([number]))
        assert np.allclose(alone[0], together[number], atol=1e-6)


@pytest.mark.parametrize("name", ["small", "tanh", "no hidden"])
def test_a_layer_of_two_factors_has_the_maps_of_their_product(name) -> None:
    """As ``alexnet export --shrink`` writes them: fc6.linear.0 and fc6.linear.1, without an activation between."""
    net = NETS[name]
    whole = weights_of(made(net))
    factors = dict(whole)
    for layer, _, _ in net.linear_layers():
        weight, bias = factors.pop(f"{layer}.linear.weight"), factors.pop(f"{layer}.linear.bias")
        left, sizes, right = np.linalg.svd(weight, full_matrices=False)
        factors |= {
            f"{layer}.linear.0.weight": right,
            f"{layer}.linear.0.bias": np.linspace(-1, 1, len(right), dtype=np.float32),
            f"{layer}.linear.1.weight": left * sizes,
        }
        factors[f"{layer}.linear.1.bias"] = bias - (left * sizes) @ factors[f"{layer}.linear.0.bias"]
    rng = np.random.default_rng(0)
    side = net.layers[-1].pool.kernel + 3
    maps, classes = rng.random((3, net.layers[-1].channels, side, side), np.float32), np.array([0, 6, 3])
    expected = class_maps(Head.of(net, whole), maps, classes)
    assert expected.max() > 0
    assert np.abs(class_maps(Head.of(net, factors), maps, classes) - expected).max() < 1e-5 * expected.max()


@pytest.mark.parametrize(("n", "grid"), [(5, 5), (13, 6), (4, 6), (1, 5), (7, 3), (6, 1)])
def test_maps_of_any_size_are_pooled_to_the_grid_as_by_torch(n, grid) -> None:
    net = replace(SMALL, layers=(Conv(channels=2, kernel=1),), grid=grid, hidden=())
    maps = np.random.default_rng(0).random((3, 2, n, n), np.float32)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(maps), grid).flatten(1).numpy()
    assert np.allclose(Head.of(net, weights_of(AlexNet(net))).flat(maps), expected, atol=1e-6)


def test_the_maps_and_embeddings_are_the_networks_own() -> None:
    model = made(NETS["maps larger than the grid"])
    images = torch.randn(2, 3, 64, 64)
    seen = activations(model, images)
    with torch.inference_mode():
        assert np.allclose(seen.embeddings, model.embed(images).numpy(), atol=1e-6)
        conv1 = model.conv1.activation(model.conv1.norm(model.conv1.conv(images)))
    assert seen.maps.shape == (2, 32, 15, 15)
    assert np.allclose(seen.peaks["conv1"].values, conv1.amax(dim=(2, 3)).numpy())
    place = int(seen.peaks["conv1"].places[1, 5])
    assert conv1[1, 5].flatten()[place] == conv1[1, 5].max()
