"""The network of 2012, point by point as its program has it; numbers 7, 8 and 10 are the recipe's."""

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet import VARIANTS, AlexNet, Architecture
from alexnet.errors import SettingsError
from alexnet.network.module.dropout import Dropout
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import Conv, LocalNorm, MapNorm, Pool
from alexnet.network.weights.loading import as_torchvision, load_tensors

ORIGINAL = VARIANTS["original"]


@pytest.fixture(scope="module")
def model() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet("original", n_classes=20).double().eval()


def random_images(n: int = 2, side: int = 224) -> Tensor:
    """Images on the program's scale: 0 to 255 less a mean."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, side, side, generator=generator, dtype=torch.float64) * 255 - 120


def across(maps: Tensor) -> Tensor:
    """x / (2 + (0.0001 / 5) * the sum over 5 neighbouring maps of x^2) ^ 0.75, map by map."""
    result = torch.empty_like(maps)
    n = maps.shape[1]
    for i in range(n):
        squares = maps[:, max(0, i - 2) : min(n, i + 3)].square().sum(dim=1)
        result[:, i] = maps[:, i] / (2 + (0.0001 / 5) * squares) ** 0.75
    return result


def within(maps: Tensor) -> Tensor:
    """x / (1 + (0.001 / 25) * the sum of x^2 over the 5x5 window) ^ 0.75."""
    n = maps.shape[1]
    ones = torch.ones(n, 1, 5, 5, dtype=maps.dtype)
    return maps / (1 + (0.001 / 25) * F.conv2d(maps.square(), ones, padding=2, groups=n)) ** 0.75


def columns(layer: str, model: AlexNet) -> list[tuple[Tensor, Tensor]]:
    """The weights and biases of the two columns."""
    conv = model.get_submodule(f"{layer}.conv")
    return list(zip(conv.weight.chunk(2), conv.bias.chunk(2), strict=True))


def by_hand(model: AlexNet, images: Tensor) -> tuple[dict[str, tuple[int, ...]], Tensor]:
    """The two columns in plain operations: the shapes of a column's maps, and the logits."""
    shapes = {}
    hanging = F.pad(images, (0, 3, 0, 3))  # 1 + ceil((224 - 11) / 4) = 55 windows need 227 px
    firsts = []
    for weight, bias in columns("conv1", model):
        maps = F.conv2d(hanging, weight, bias, stride=4)
        shapes["conv1"] = tuple(maps.shape[1:])
        firsts.append(F.relu(F.max_pool2d(across(maps), 3, 2)))
    seconds = []
    for maps, (weight, bias) in zip(firsts, columns("conv2", model), strict=True):
        maps = F.relu(F.conv2d(maps, weight, bias, padding=2))
        shapes["conv2"] = tuple(maps.shape[1:])
        seconds.append(F.max_pool2d(within(across(maps)), 3, 2))
    both = torch.cat(seconds, dim=1)
    thirds = [F.relu(F.conv2d(both, weight, bias, padding=1)) for weight, bias in columns("conv3", model)]
    shapes["conv3"] = tuple(thirds[0].shape[1:])
    lasts = []
    for maps, four, five in zip(thirds, columns("conv4", model), columns("conv5", model), strict=True):
        maps = F.relu(F.conv2d(maps, *four, padding=1))
        shapes["conv4"] = tuple(maps.shape[1:])
        maps = F.conv2d(maps, *five, padding=1)
        shapes["conv5"] = tuple(maps.shape[1:])
        lasts.append(F.relu(F.max_pool2d(maps, 3, 2)))
    flat = torch.cat(lasts, dim=1).flatten(1)
    shapes["flatten"] = tuple(flat.shape[1:])
    for name in ("fc6", "fc7"):
        linear = model.get_submodule(f"{name}.linear")
        flat = F.relu(F.linear(flat, linear.weight, linear.bias)) * 0.5
    return shapes, F.linear(flat, model.fc8.linear.weight, model.fc8.linear.bias)


@torch.inference_mode()
def test_the_logits_are_those_of_the_two_columns_by_hand(model) -> None:
    images = random_images()
    shapes, logits = by_hand(model, images)
    assert shapes == {
        "conv1": (48, 55, 55),
        "conv2": (128, 27, 27),
        "conv3": (192, 13, 13),
        "conv4": (192, 13, 13),
        "conv5": (128, 13, 13),
        "flatten": (9216,),
    }
    assert (model(images) - logits).abs().max() < 1e-6
    assert logits.std() > 1e-3, "the comparison sees something"


def test_1_windows_are_counted_up() -> None:
    # At stride 1, there is nothing to round.
    assert [layer.rounding for layer in ORIGINAL.layers if layer.stride > 1] == ["up"]
    assert [layer.pool.rounding for layer in ORIGINAL.layers if layer.pool] == ["up"] * 3
    assert [op.shape[-1] for op in ORIGINAL.operations() if op.kind in ("Conv", "MaxPool")] == [
        *(55, 27, 27, 13, 13, 13, 13, 6),
    ]
    assert 1 + math.ceil((224 - 11) / 4) == 55
    # Rounded down, 224 px have 54 windows, which is why others take 227.
    down = replace(ORIGINAL, layers=tuple(replace(layer, rounding="down") for layer in ORIGINAL.layers))
    assert [next(replace(down, image_size=size).operations()).shape[-1] for size in (224, 227)] == [54, 55]


@torch.inference_mode()
def test_1_the_last_windows_hang_over_the_right_and_lower_edge(model) -> None:
    images = random_images(1)
    conv = model.conv1.conv
    maps = conv(images)
    corner = F.pad(images[:, :, 216:, 216:], (0, 3, 0, 3))
    expected = (corner * conv.weight).sum(dim=(1, 2, 3)) + conv.bias
    assert torch.allclose(maps[0, :, 54, 54], expected)


def test_2_the_order_of_parts() -> None:
    assert [layer.parts for layer in ORIGINAL.layers] == [
        ("norm", "pool", "activation"),
        ("activation", "norm", "second_norm", "pool"),
        ("activation",),
        ("activation",),
        ("pool", "activation"),
    ]
    kinds = [op.kind for op in ORIGINAL.operations() if op.layer == "conv1"]
    assert kinds == ["Conv", "LocalResponseNorm", "MaxPool", "ReLU"]


@torch.inference_mode()
def test_2_the_first_norm_sees_what_is_not_rectified(model) -> None:
    seen = []
    handle = model.conv1.norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model.conv1(random_images(1))
    handle.remove()
    assert seen[0].min() < 0


@torch.inference_mode()
def test_3_a_second_norm_within_maps() -> None:
    assert ORIGINAL.layers[1].second_norm == MapNorm(place="after", size=5, alpha=0.001, beta=0.75, k=1.0)
    net = Architecture(
        layers=(Conv(channels=2, kernel=1, norm=ORIGINAL.layers[1].second_norm),), grid=6, hidden=(), image_size=6
    )
    maps = torch.randn(1, 2, 6, 6, dtype=torch.float64) * 30
    expected = torch.empty_like(maps)
    for channel in range(2):
        for y in range(6):
            for x in range(6):
                window = maps[0, channel, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
                damping = (1 + 0.001 / 25 * window.square().sum()) ** 0.75
                expected[0, channel, y, x] = maps[0, channel, y, x] / damping
    assert torch.allclose(AlexNet(net).conv1.norm(maps), expected)


@torch.inference_mode()
def test_4_norms_across_maps_stay_within_their_column(model) -> None:
    norms = [ORIGINAL.layers[number].norm for number in (0, 1)]
    assert norms == [
        LocalNorm(place="before", size=5, alpha=1e-4, beta=0.75, k=2.0, groups=2),
        LocalNorm(place="after", size=5, alpha=1e-4, beta=0.75, k=2.0, groups=2),
    ]
    maps = torch.randn(1, 96, 3, 3, dtype=torch.float64) * 100
    expected = torch.cat([across(column) for column in maps.chunk(2, dim=1)], dim=1)
    assert torch.allclose(model.conv1.norm(maps), expected)
    whole = across(maps)
    differs = (model.conv1.norm(maps) - whole).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert differs.nonzero().flatten().tolist() == [46, 47, 48, 49], "only channels beside the border of the columns"


def test_5_outputs_of_fc6_and_fc7_are_dropped_and_halved_in_prediction() -> None:
    kinds = [(op.layer, op.kind) for op in ORIGINAL.operations() if op.layer.startswith("fc")]
    assert kinds == [
        *(("fc6", "Linear"), ("fc6", "ReLU"), ("fc6", "Dropout")),
        *(("fc7", "Linear"), ("fc7", "ReLU"), ("fc7", "Dropout")),
        ("fc8", "Linear"),
    ]
    dropout = Dropout(0.5, "prediction")
    numbers = torch.rand(64, 100) + 1
    dropped = dropout.train()(numbers)
    assert set((dropped / numbers).flatten().tolist()) == {0.0, 1.0}, "what is kept is not scaled"
    assert 0.45 < (dropped > 0).float().mean() < 0.55
    assert torch.equal(dropout.eval()(numbers), numbers * 0.5)


def test_6_random_weights_and_biases() -> None:
    torch.manual_seed(0)
    net = AlexNet("original", n_classes=100)
    stds = {name: net.get_parameter(f"{name}.conv.weight").std().item() for name in net.layer_names[:5]}
    stds |= {name: net.get_parameter(f"{name}.linear.weight").std().item() for name in net.layer_names[5:]}
    assert stds == pytest.approx(
        {name: 0.03 if name in ("conv3", "conv4", "conv5") else 0.01 for name in net.layer_names}, rel=0.03
    )
    biases = {name.split(".")[0]: set(each.tolist()) for name, each in net.named_parameters() if "bias" in name}
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert biases == {name: {1.0 if name in ones else 0.0} for name in net.layer_names}


@torch.inference_mode()
def test_9_columns_meet_in_conv3_and_in_the_fully_connected_layers(model) -> None:
    assert ORIGINAL.n_parameters == 60_965_224
    assert [layer.groups for layer in ORIGINAL.layers] == [1, 2, 1, 2, 2]

    def reaches(name: str, channels: int, side: int) -> list[bool]:
        """Whether a change in the first column's input changes the first and the second column's output."""
        maps = torch.rand(1, channels, side, side, dtype=torch.float64)
        other = maps.clone()
        other[:, : channels // 2] += 1
        layer = model.get_submodule(f"{name}.conv")
        return [bool(each.any()) for each in (layer(maps) - layer(other)).chunk(2, dim=1)]

    inputs = {"conv2": (96, 27), "conv3": (256, 13), "conv4": (384, 13), "conv5": (384, 13)}
    assert {name: reaches(name, *shape) for name, shape in inputs.items()} == {
        "conv2": [True, False],
        "conv3": [True, True],
        "conv4": [True, False],
        "conv5": [True, False],
    }
    assert [model.get_parameter(f"{name}.linear.weight").shape[1] for name in ("fc6", "fc7", "fc8")] == [
        *(9216, 4096, 4096)
    ]


def test_paper_and_caffenet_drop_outputs_and_the_others_inputs() -> None:
    places = {name: net.dropout_place for name, net in VARIANTS.items()}
    assert places == {
        "batchnorm": "inputs",
        "original": "outputs",
        "paper": "outputs",
        "caffenet": "outputs",
        "torchvision": "inputs",
        "small": "inputs",
    }
    halved = [name for name, net in VARIANTS.items() if net.scale_in_prediction != 1]
    assert halved == ["original"]
    assert [layer.norm.groups for layer in VARIANTS["paper"].layers if layer.norm] == [2, 2]
    assert [layer.norm.groups for layer in VARIANTS["caffenet"].layers if layer.norm] == [1, 1]


@torch.inference_mode()
def test_a_mean_image_is_subtracted_and_saved_with_the_weights() -> None:
    net = Architecture(
        layers=(Conv(channels=4, kernel=3),), hidden=(), grid=2, image_size=8, n_classes=2, mean_image=True
    )
    torch.manual_seed(0)
    model, images = AlexNet(net).eval(), torch.rand(2, 3, 8, 8)
    before = model(images)
    mean = torch.rand(3, 8, 8)
    model.mean_image.copy_(mean)
    assert "mean_image" in model.state_dict()
    assert not torch.equal(model(images), before)
    assert torch.allclose(model(images + mean), before, atol=1e-6)
    assert torch.equal(model.features("conv1")(images + mean), model.forward_features(images + mean))
    flat = mean.mean(dim=(1, 2), keepdim=True).expand(3, 8, 8)
    model.mean_image.copy_(flat)
    larger = torch.rand(1, 3, 11, 11)
    expected = AlexNet(replace(net, mean_image=False)).eval()
    expected.load_state_dict({name: each for name, each in model.state_dict().items() if name != "mean_image"})
    assert torch.allclose(model(larger + flat[:, :1, :1]), expected(larger), atol=1e-6), "resized with the images"


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"layers": [{"channels": 8, "kernel": 3, "rounding": "ceil"}]}, "unknown rounding of a layer 'ceil'"),
        ({"layers": [{"channels": 8, "kernel": 2, "stride": 3, "rounding": "up"}]}, "wholly outside"),
        ({"layers": [{"channels": 8, "kernel": 3, "activation_after": "pool"}]}, "no pool"),
        ({"layers": [{"channels": 8, "kernel": 3, "second_norm": {"kind": "map"}}]}, "but no norm"),
        (
            {"layers": [{"channels": 8, "kernel": 3, "norm": {"kind": "map"}, "second_norm": {"kind": "batch"}}]},
            "use a LocalNorm or a MapNorm",
        ),
        ({"layers": [{"channels": 8, "kernel": 3, "norm": {"kind": "local", "groups": 3}}]}, "use 1, 2, 4 or 8"),
        ({"layers": [{"channels": 8, "kernel": 3, "norm": {"kind": "map", "k": 0}}]}, "a map norm's k is 0"),
        ({"dropout_place": "output"}, "did you mean 'outputs'"),
        ({"dropout_scaling": "testing"}, "unknown dropout_scaling"),
        ({"mean_image": 1}, "mean_image is 1; it must be true or false"),
    ],
)
def test_impossible_fields_are_refused(saved, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Architecture.from_json(json.loads(json.dumps(saved)))


@pytest.mark.parametrize("kind", ["max", "average"])
@torch.inference_mode()
def test_pools_that_hang_over_count_only_what_is_inside(kind) -> None:
    layer = Conv(channels=2, kernel=1, pool=Pool(kind=kind, rounding="up"))
    model = AlexNet(Architecture(layers=(layer,), grid=3, hidden=(), image_size=6))
    maps = torch.randn(1, 2, 6, 6)
    pooled = model.conv1.pool(maps)
    assert pooled.shape == (1, 2, 3, 3)
    corner = maps[:, :, 4:, 4:]
    assert torch.allclose(pooled[:, :, 2, 2], corner.amax((2, 3)) if kind == "max" else corner.mean((2, 3)))


@pytest.mark.parametrize("place", ["inputs", "outputs"])
@torch.inference_mode()
def test_weights_of_a_network_that_scales_otherwise_are_rescaled(place) -> None:
    net = Architecture(
        layers=(Conv(channels=4, kernel=3),), hidden=(6, 5), grid=2, image_size=8, n_classes=2, dropout_place=place,
        dropout_scaling="prediction", dropout=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = AlexNet(net).eval()
    ours = AlexNet(replace(net, dropout=0.5)).eval()
    loaded = load_tensors(ours, theirs.state_dict(), where="theirs", trained=net)
    images = torch.rand(2, 3, 8, 8)
    assert torch.allclose(ours(images), theirs(images), atol=1e-6)
    layers = ["fc2", "fc3"] if place == "inputs" else ["fc3", "fc4"]
    assert loaded.adapted == tuple(
        (f"{name}.linear.weight", "inputs are multiplied by 0.5 instead of 0.7") for name in layers
    )


def test_common_changes_reach_both_norms_and_keep_their_columns() -> None:
    placed = resolve("original", norm_place="pooled").layers[1]
    assert placed.parts == ("activation", "pool", "norm", "second_norm")
    assert [layer.norm.groups for layer in resolve("paper", norm="local").layers if layer.norm] == [2, 2]
    assert [layer.norm.groups for layer in resolve("paper", groups=1).layers if layer.norm] == [1, 1]
    both = Conv(channels=8, kernel=3, norm=LocalNorm(groups=2), second_norm=LocalNorm(groups=2))
    net = resolve(Architecture(layers=(both, both), hidden=(), image_size=9), groups=4)
    assert [[norm.groups for norm in layer.norms.values()] for layer in net.layers] == [[4, 4], [4, 4]]


def test_torchvision_halves_nothing() -> None:
    with pytest.raises(SettingsError, match="scale_in_prediction of this network differ"):
        as_torchvision(AlexNet(replace(VARIANTS["torchvision"], dropout_scaling="prediction", n_classes=2)))
