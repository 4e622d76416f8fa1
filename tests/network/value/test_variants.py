import json
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from alexnet import AlexNet, Architecture
from alexnet.errors import SettingsError
from alexnet.network import diagram
from alexnet.network.value.changes import CHANNEL_STEP, Changes, load_architecture, resolve
from alexnet.network.value.layers import BatchNorm, Conv, GroupNorm, LocalNorm
from alexnet.network.value.options import NetworkOptions
from alexnet.network.value.variants import VARIANTS

COUNTS = {"batchnorm": 50_846_760, "paper": 60_965_224, "caffenet": 60_965_224, "torchvision": 61_100_840}


@pytest.mark.parametrize("variant", COUNTS)
def test_parameter_counts(variant) -> None:
    net = resolve(variant)
    assert net.n_classes == 1000
    assert net.n_parameters == COUNTS[variant] == sum(each.numel() for each in AlexNet(net).parameters())


def test_counts_are_those_of_the_reference_document() -> None:
    assert resolve(n_classes=3).n_parameters == 46_762_051
    assert round(resolve(n_classes=3).n_mult_adds / 1e9, 2) == 1.01


def test_the_papers_maps() -> None:
    """cs231n.github.io #9: 224 or 227? 55x55 after conv1 and 6x6 before fc6."""
    for variant in ("paper", "caffenet"):
        shapes = [(op.layer, op.kind, op.shape) for op in resolve(variant).operations()]
        assert shapes[0] == ("conv1", "Conv", (96, 55, 55))
        assert [shape for _, kind, shape in shapes if kind == "MaxPool"][-1] == (256, 6, 6)
        assert "AdaptiveAvgPool" not in {kind for _, kind, _ in shapes}


def test_the_order_of_normalising_and_pooling() -> None:
    for variant, order in (("paper", ["norm", "pool"]), ("caffenet", ["pool", "norm"])):
        assert [name for name, _ in AlexNet(variant).conv1.named_children()] == ["conv", "activation", *order]


def test_the_papers_random_weights() -> None:
    model = AlexNet("paper", n_classes=10)
    for name in model.layer_names:
        layer = next(each for each in model.get_submodule(name).modules() if isinstance(each, nn.Conv2d | nn.Linear))
        assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.03), name
        assert layer.bias.unique().tolist() == [float(name in ("conv2", "conv4", "conv5", "fc6", "fc7"))], name


def test_caffenets_random_weights() -> None:
    model = AlexNet("caffenet", n_classes=10)
    for name, std, bias in (("conv1", 0.01, 0.0), ("conv2", 0.01, 0.1), ("fc6", 0.005, 0.1), ("fc8", 0.01, 0.0)):
        layer = next(each for each in model.get_submodule(name).modules() if isinstance(each, nn.Conv2d | nn.Linear))
        assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.03), name
        assert layer.bias.unique().tolist() == pytest.approx([bias]), name


def test_changes_by_name() -> None:
    net = resolve(
        "paper", n_classes=3, in_channels=1, image_size=128, hidden=(64, 32, 16), dropout=0.2, activation="tanh"
    )
    assert (net.n_classes, net.in_channels, net.image_size) == (3, 1, 128)
    assert (net.hidden, net.dropout, net.activation) == ((64, 32, 16), 0.2, "tanh")
    assert net.layers == VARIANTS["paper"].layers


def test_width_scales_all_channels_to_steps() -> None:
    assert [layer.channels for layer in resolve(width=0.5).layers] == [48, 128, 192, 192, 128]
    assert [layer.channels for layer in resolve(width=0.01).layers] == [CHANNEL_STEP] * 5
    odd = replace(Architecture(), layers=(Conv(channels=20, kernel=3),))
    assert resolve(odd, width=1.0) == odd


def test_norms_by_name() -> None:
    kinds = {name: [layer.norm for layer in resolve("torchvision", norm=name).layers] for name in ("batch", "group")}
    assert kinds["batch"] == [BatchNorm()] * 5
    assert kinds["group"] == [GroupNorm()] * 5
    assert [layer.norm for layer in resolve(norm="local").layers] == [LocalNorm(), LocalNorm(), None, None, None]
    assert [layer.norm for layer in resolve("paper", norm="none").layers] == [None] * 5


@pytest.mark.parametrize("change", [{"groups": 2}, {"pool": "average"}, {"norm_place": "after"}])
def test_a_change_without_effect_is_refused(change) -> None:
    bare = replace(Architecture(), layers=(Conv(channels=8, kernel=3),))
    with pytest.raises(SettingsError, match=f"{next(iter(change))} is "):
        resolve(bare, **change)


def test_group_norm_of_one_channel_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"a layer of 1 channels.*use no group norm"):
        resolve(replace(Architecture(), layers=(Conv(channels=1, kernel=3),)), norm="group")


@pytest.mark.parametrize("first", ["width", "norm"])
def test_group_norm_fits_any_width(first) -> None:
    net = resolve(resolve(norm="group"), width=0.5) if first == "norm" else resolve(resolve(width=0.5), norm="group")
    assert [layer.norm.n_groups for layer in net.layers] == [16, 32, 32, 32, 32]


def test_the_place_of_norms() -> None:
    layers = resolve(norm_place="pooled").layers
    assert [layer.norm.place for layer in layers] == ["pooled", "pooled", "after", "after", "pooled"]
    assert resolve("paper", norm="local", norm_place="before").layers[0].norm == LocalNorm(place="before", groups=2)
    with pytest.raises(SettingsError, match="no layer has a norm"):
        resolve("torchvision", norm_place="after")


def test_pools_by_name() -> None:
    """Section 3.4 compares pools that overlap with pools that do not."""
    separate = resolve(pool="separate")
    assert [layer.pool and layer.pool.kernel for layer in separate.layers] == [2, 2, None, None, 2]
    assert {op.kind for op in resolve(pool="average").operations()} >= {"AvgPool"}


def test_groups_split_the_papers_layers() -> None:
    assert [layer.groups for layer in resolve(groups=2).layers] == [1, 2, 1, 2, 2]
    assert [layer.groups for layer in resolve("paper", groups=1).layers] == [1] * 5
    with pytest.raises(
        SettingsError, match="conv2 has 7 groups, for 96 channels in and 256 out; use 1, 2, 4, 8, 16 or 32"
    ):
        resolve(groups=7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"width": float("nan")}, "width is nan"),
        ({"width": 1e308}, "at most 100"),
        ({"hidden": 256}, "a list of sizes"),
        ({"architecture": None}, "not None"),
        ({"norm": "bacth"}, "did you mean 'batch'"),
        ({"norm_place": "bevore"}, "did you mean 'before'"),
        ({"pool": "overlap"}, "did you mean 'overlapping'"),
        ({"groups": 0}, "groups is 0"),
        ({"n_clases": 3}, "did you mean 'n_classes'"),
    ],
)
def test_invalid_changes_are_refused(change, message) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve(**change)


def test_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'batchnorm'"):
        resolve("batchnrom")


def test_options_and_arguments_are_the_same() -> None:
    options = {field.name for field in fields(NetworkOptions)} - {"variant", "architecture"}
    assert options == Changes.__annotations__.keys() - {"n_classes", "in_channels", "image_size"}


def test_a_file_with_a_custom_network(tmp_path) -> None:
    net = resolve("caffenet", width=0.25, hidden=(64,))
    file = tmp_path / "mine.json"
    for saved in (net.to_json(), json.loads(diagram.as_json(net))):
        file.write_text(json.dumps(saved))
        assert load_architecture(file) == net
    assert NetworkOptions(architecture=str(file), dropout=0.1).network(n_classes=4) == replace(
        net, dropout=0.1, n_classes=4
    )
    assert load_architecture(json.dumps(net.to_json())) == net, "the JSON itself will do"
    file.write_text('{"layers": [{"channels": 8, "kernel": 3}], "grid": 4}')
    own = load_architecture(file)
    assert (own.variant, len(own.layers), own.hidden) == ("mine", 1, Architecture().hidden)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "cannot read"), ("[]", "not a JSON object"), ('{"layrs": []}', "mine.json.*did you mean 'layers'")],
)
def test_a_file_without_a_valid_network_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_architecture(tmp_path / "mine.json")
    with pytest.raises(SettingsError, match="cannot read"):
        load_architecture(tmp_path / "none.json")


def test_a_variant_and_a_file_exclude_each_other(tmp_path) -> None:
    with pytest.raises(SettingsError, match="give one"):
        NetworkOptions(variant="paper", architecture=str(tmp_path / "mine.json")).network()


def test_small_takes_the_images_of_mnist_and_cifar() -> None:
    net = VARIANTS["small"]
    for size in (28, 32, 64):
        with torch.inference_mode():
            assert AlexNet(net, n_classes=10).eval()(torch.zeros(1, 3, size, size)).shape == (1, 10)
