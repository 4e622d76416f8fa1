"""The weights of other AlexNets, under other names and in other shapes, loaded into networks of this package."""

import copy
import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from alexnet import AlexNet
from alexnet.errors import ArtifactError, SettingsError
from alexnet.images.pixels import MEAN, STD
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import resolve
from alexnet.network.value.variants import VARIANTS
from alexnet.network.weights.adaptation import with_channels, with_grid
from alexnet.network.weights.loading import TORCHVISION_MODULES, as_torchvision, load_tensors
from alexnet.network.weights.recognition import recognise

HIDDEN = (16, 8)
CAFFE_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def narrow(variant: str, **changes) -> Architecture:
    return replace(VARIANTS[variant], hidden=HIDDEN, **{"n_classes": 7, **changes})


def network(net: Architecture, seed: int = 0) -> AlexNet:
    """A network whose weights and norm statistics all differ from those of another seed."""
    torch.manual_seed(seed)
    model = AlexNet(net).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_(std=0.03)
    return model


def renamed(model: AlexNet, names: tuple[str, ...]) -> dict[str, Tensor]:
    """The weights of a network without norms, under other layer names."""
    own = model.state_dict()
    layers = [(layer, "conv" if layer.startswith("conv") else "linear") for layer in model.layer_names]
    return {
        f"{name}.{role}": own[f"{layer}.{kind}.{role}"]
        for name, (layer, kind) in zip(names, layers, strict=True)
        for role in ("weight", "bias")
    }


def as_caffe(model: AlexNet, *, old: bool = False, numbered: bool = False) -> dict[str, Tensor]:
    """The weights as in a dump from Caffe. In an old one, all have four dimensions."""
    tensors = renamed(model, CAFFE_NAMES)
    if old:
        tensors = {name: each.reshape((1,) * (4 - each.ndim) + each.shape) for name, each in tensors.items()}
    if numbered:
        tensors = {name.replace("weight", "0").replace("bias", "1"): each for name, each in tensors.items()}
    return tensors


def equal(one: AlexNet, other: AlexNet) -> bool:
    return all(torch.equal(each, other.state_dict()[name]) for name, each in one.state_dict().items())


@pytest.fixture(scope="module")
def of_torchvision() -> nn.Module:
    torch.manual_seed(1)
    return torchvision.models.alexnet(weights=None).eval()


@torch.inference_mode()
def test_torchvisions_weights_round_trip_to_the_bit(of_torchvision) -> None:
    model = AlexNet("torchvision").eval()
    loaded = load_tensors(model, of_torchvision.state_dict(), where="theirs.pth")
    assert loaded.taken == loaded.kept == tuple(model.state_dict())
    assert str(loaded) == "kept: conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8; new: nothing"
    images = torch.randn(2, 3, 224, 224)
    logits = of_torchvision(images)
    assert torch.equal(model(images), logits)

    back = torchvision.models.alexnet(weights=None).eval()
    back.load_state_dict(as_torchvision(model))
    assert torch.equal(back(images), logits)


def test_rgb_weights_of_a_thousand_classes_fit_three_classes_of_grey_in_one_call(of_torchvision) -> None:
    net = resolve("torchvision", n_classes=3, in_channels=1, image_size=128)
    model = AlexNet(replace(net, grid=5))
    before = copy.deepcopy(model.fc8.state_dict())
    loaded = load_tensors(model, of_torchvision.state_dict(), where="theirs.pth")
    assert str(loaded) == (
        "kept: conv2, conv3, conv4, conv5, fc7; adapted: conv1 (3 to 1 channels, summed), "
        "fc6 (6x6 to 5x5, resampled); new: fc8; left: classifier.6"
    )
    assert loaded.new == ("fc8.linear.weight", "fc8.linear.bias")
    assert loaded.left == ("classifier.6.weight", "classifier.6.bias")
    assert {*loaded.taken, *loaded.new} == {*model.state_dict()}
    assert all(torch.equal(before[name], each) for name, each in model.fc8.state_dict().items())
    assert model(torch.zeros(1, 1, 128, 128)).shape == (1, 3)


@pytest.mark.parametrize(
    "net",
    [
        VARIANTS["batchnorm"],
        replace(VARIANTS["torchvision"], hidden=(8, 8)),
        replace(VARIANTS["torchvision"], in_channels=1),
    ],
)
def test_other_layers_cannot_be_exported_to_torchvision(net) -> None:
    with pytest.raises(SettingsError, match="differ from torchvision's AlexNet"):
        as_torchvision(AlexNet(replace(net, n_classes=2)))


@pytest.mark.parametrize("variant", ["paper", "caffenet"])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("numbered", [False, True])
def test_caffe_dumps_are_recognised_by_their_shapes(variant, old, numbered) -> None:
    theirs = network(narrow(variant), seed=1)
    model = network(narrow(variant), seed=2)
    tensors = as_caffe(theirs, old=old, numbered=numbered)
    loaded = load_tensors(model, dict(reversed(tensors.items())), where="caffe.pth")
    assert loaded.new == loaded.left == loaded.adapted == ()
    assert equal(model, theirs)


def test_grouped_weights_do_not_fit_and_both_layouts_are_named() -> None:
    model = network(narrow("batchnorm"))
    before = copy.deepcopy(model)
    tensors = as_caffe(network(VARIANTS["paper"]))
    with pytest.raises(ArtifactError) as caught:
        load_tensors(model, tensors, where="caffe.pth")
    assert str(caught.value) == (
        "no fit: 'caffe.pth' has the grouped layout of 2012 and Caffe (conv2 256x48x5x5, conv4 384x192x3x3, ...), "
        "the network has the reference layout (conv2 256x96x5x5, conv4 384x384x3x3, ...); "
        "use the variant that trained it (--variant original, paper or caffenet), "
        "or load what fits with --init-take fitting (partial=True)"
    )
    assert equal(model, before), "what is refused changes nothing"


def test_partial_loads_what_fits() -> None:
    theirs = network(narrow("paper"), seed=1)
    model = network(narrow("batchnorm"), seed=2)
    before = copy.deepcopy(model)
    loaded = load_tensors(model, as_caffe(theirs), where="caffe.pth", partial=True)
    assert str(loaded) == (
        "kept: conv1, conv3, fc7, fc8; adapted: fc6 (6x6 to 5x5, resampled); "
        "new: conv1.norm, conv2, conv3.norm, conv4, conv5; left: conv2, conv4, conv5"
    )
    assert torch.equal(model.conv3.conv.weight, theirs.conv3.conv.weight)
    for name in loaded.new:
        assert torch.equal(model.state_dict()[name], before.state_dict()[name])


def test_partial_refuses_weights_of_which_nothing_fits() -> None:
    tensors = as_caffe(network(narrow("paper")))
    small = AlexNet(replace(VARIANTS["small"], n_classes=7))
    with pytest.raises(ArtifactError, match=r"grouped layout.*layout for small images.*none of it can be loaded"):
        load_tensors(small, tensors, where="caffe.pth", partial=True)


class Article(nn.Module):
    """The network of the article in the reference document, narrow, with its own names."""

    def __init__(self) -> None:
        super().__init__()

        def layer(n_inputs: int, n_outputs: int, *conv: int, pool: bool = False) -> nn.Sequential:
            parts = [nn.Conv2d(n_inputs, n_outputs, *conv), nn.BatchNorm2d(n_outputs), nn.ReLU()]
            return nn.Sequential(*parts, *([nn.MaxPool2d(3, 2)] if pool else []))

        self.layer1 = layer(3, 96, 11, 4, 0, pool=True)
        self.layer2 = layer(96, 256, 5, 1, 2, pool=True)
        self.layer3 = layer(256, 384, 3, 1, 1)
        self.layer4 = layer(384, 384, 3, 1, 1)
        self.layer5 = layer(384, 256, 3, 1, 1, pool=True)
        self.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(9216, HIDDEN[0]), nn.ReLU())
        self.fc1 = nn.Sequential(nn.Dropout(0.5), nn.Linear(*HIDDEN), nn.ReLU())
        self.fc2 = nn.Sequential(nn.Linear(HIDDEN[1], 10))

    def forward(self, images: Tensor) -> Tensor:
        maps = images
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4, self.layer5):
            maps = layer(maps)
        return self.fc2(self.fc1(self.fc(maps.flatten(1))))


@torch.inference_mode()
def test_the_articles_network_gives_the_same_logits_to_the_bit() -> None:
    torch.manual_seed(0)
    article = Article().eval()
    for tensor in article.state_dict().values():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    model = AlexNet(narrow("batchnorm", grid=6, image_size=227, n_classes=10)).eval()
    loaded = load_tensors(model, article.state_dict(), where="article.pth")
    assert loaded.new == loaded.left == loaded.adapted == ()
    images = torch.randn(2, 3, 227, 227)
    assert torch.equal(model(images), article(images))


def named_apart(name: str) -> str:
    """``conv1.weight``, ``bn1.weight`` and ``fc1.weight``: norms come before all convolutions."""
    layer, kind, role = name.split(".")
    return f"{'bn' if kind == 'norm' else layer[:-1]}{layer[-1]}.{role}"


@pytest.mark.parametrize(
    "rename",
    [
        named_apart,
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"_orig_mod.module.{name}",
        lambda name: f"backbone.net.{name}",
        lambda name: name.replace("conv", "conv1").replace("fc", "head.fc1"),  # conv11 ... conv15, head.fc16
    ],
)
def test_layers_are_recognised_under_other_names(rename) -> None:
    theirs, model = (network(narrow("batchnorm"), seed) for seed in (1, 2))
    tensors = [(rename(name), tensor) for name, tensor in theirs.state_dict().items()]
    random.Random(0).shuffle(tensors)
    loaded = load_tensors(model, dict(tensors), where="theirs.pth")
    assert loaded.new == loaded.left == ()
    assert equal(model, theirs)


def test_layers_after_the_ninth_stay_in_their_order() -> None:
    layers = tuple(replace(VARIANTS["torchvision"].layers[2], channels=channels) for channels in range(2, 14))
    net = Architecture(layers=layers, hidden=(4,), n_classes=2, image_size=32)
    theirs, model = network(net, 1), network(net, 2)
    tensors = renamed(theirs, tuple(f"body.{place}" for place in range(14)))
    load_tensors(model, dict(sorted(tensors.items())), where="theirs.pth")
    assert equal(model, theirs)


def test_own_names_without_the_last_layer_are_loaded() -> None:
    theirs, model = (network(narrow("batchnorm"), seed) for seed in (1, 2))
    tensors = {name: each for name, each in theirs.state_dict().items() if not name.startswith("fc8")}
    loaded = load_tensors(model, tensors, where="theirs.pth")
    assert loaded.new == ("fc8.linear.weight", "fc8.linear.bias")
    del tensors["conv2.conv.weight"]
    with pytest.raises(ArtifactError, match="no fit"):
        load_tensors(model, tensors, where="theirs.pth")
    assert "new: conv2, fc8" in str(load_tensors(model, tensors, where="theirs.pth", partial=True))


def test_the_last_layer_is_new_for_as_many_other_classes() -> None:
    theirs, model = (network(narrow("batchnorm"), seed) for seed in (1, 2))
    before = copy.deepcopy(model)
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth", same_classes=False)
    assert loaded.new == loaded.left == ("fc8.linear.weight", "fc8.linear.bias")
    assert torch.equal(model.fc8.linear.weight, before.fc8.linear.weight)


def test_missing_norms_keep_their_initial_values() -> None:
    theirs = network(resolve(narrow("batchnorm"), norm="none"), seed=1)
    model = AlexNet(narrow("batchnorm"))
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth")
    assert "new: conv1.norm, conv2.norm, conv3.norm, conv4.norm, conv5.norm" in str(loaded)
    assert model.conv1.norm.weight.eq(1).all()
    with pytest.raises(ArtifactError, match=r"conv1\.norm 96, conv2\.norm 256, \.\.\.\), the network has"):
        load_tensors(theirs, model.state_dict(), where="theirs.pth")


def test_batch_and_group_norms_do_not_mix() -> None:
    theirs = network(resolve(narrow("batchnorm"), norm="group"), seed=1)
    model = network(narrow("batchnorm"), seed=2)
    for one, other in ((theirs, model), (model, theirs)):
        with pytest.raises(ArtifactError, match=r"no fit.*conv1\.norm 96"):
            load_tensors(one, other.state_dict(), where="theirs.pth")
        loaded = load_tensors(one, other.state_dict(), where="theirs.pth", partial=True)
        assert "new: conv1.norm, conv2.norm, conv3.norm, conv4.norm, conv5.norm" in str(loaded)


def test_old_files_without_counted_batches_are_complete() -> None:
    theirs, model = (network(narrow("batchnorm"), seed) for seed in (1, 2))
    model.conv1.norm.num_batches_tracked.fill_(5)
    tensors = {name: each for name, each in theirs.state_dict().items() if "num_batches" not in name}
    loaded = load_tensors(model, tensors, where="old.pth")
    assert loaded.new == ()
    assert model.conv1.norm.num_batches_tracked == 0
    assert equal(model, theirs)


def test_missing_biases_are_zeros() -> None:
    theirs, model = (network(narrow("batchnorm"), seed) for seed in (1, 2))
    tensors = {name: each for name, each in theirs.state_dict().items() if not name.endswith("conv.bias")}
    loaded = load_tensors(model, tensors, where="theirs.pth")
    assert loaded.new == ()
    assert "adapted: conv1 (no bias there, so zeros), conv2 (no" in str(loaded)
    assert model.conv3.conv.bias.eq(0).all()


def test_tensors_of_no_layer_are_named() -> None:
    model = network(narrow("batchnorm"))
    tensors = {"mean": torch.zeros(3), **model.state_dict()}
    with pytest.raises(
        ArtifactError, match=r"'theirs\.pth' also holds 'mean', which belongs to no layer; load what fits"
    ):
        load_tensors(model, tensors, where="theirs.pth")
    assert load_tensors(model, tensors, where="theirs.pth", partial=True).left == ("mean",)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "layers, nothing at all"),
        (
            {"a": torch.zeros(3), "b.weight": torch.zeros(3), "c": torch.zeros(1)},
            r"layers, only 'a', 'b\.weight' and 1 more$",
        ),
        (
            {"embedding.weight": torch.zeros(50, 20)},
            r"a layout of its own \(fc1 50x20\), the network has the reference",
        ),
        ({"conv1.conv.bias": torch.zeros(96)}, r"layers, only 'conv1\.conv\.bias'"),
        ({"conv1.conv.weight": torch.zeros(96)}, "layers, only"),
        ({"conv1.conv.weight": torch.zeros(0, 3, 11, 11)}, "conv1 0x3x11x11"),
        ({"fc6.linear.weight": torch.zeros(16, 0)}, "fc6 16x0"),
    ],
)
def test_other_networks_are_refused(tensors, message, partial) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        load_tensors(AlexNet(narrow("batchnorm")), tensors, where="theirs.pth", partial=partial)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.int64, torch.bool])
@pytest.mark.parametrize("in_channels", [3, 1])
def test_every_real_dtype_is_loaded(kind, in_channels) -> None:
    theirs, model = network(narrow("torchvision"), 1), network(narrow("torchvision", in_channels=in_channels), 2)
    tensors = {name: each.abs().mul(100).to(kind) for name, each in theirs.state_dict().items()}
    load_tensors(model, tensors, where="theirs.pth")
    assert torch.equal(model.conv2.conv.weight, tensors["conv2.conv.weight"].float())
    conv1 = tensors["conv1.conv.weight"].float()
    expected = conv1 if in_channels == 3 else conv1.sum(dim=1, keepdim=True)
    assert torch.equal(model.conv1.conv.weight, expected)


def test_8_bit_nan_is_refused() -> None:
    model = network(narrow("torchvision"))
    tensors = {name: each.to(torch.float8_e5m2) for name, each in model.state_dict().items()}
    tensors["conv3.conv.bias"] = torch.full_like(model.conv3.conv.bias, float("nan")).to(torch.float8_e5m2)
    with pytest.raises(ArtifactError, match=r"holds NaN or infinity in conv3\.conv\.bias"):
        load_tensors(model, tensors, where="theirs.pth")


@pytest.mark.parametrize("name", ["conv1.conv.weight", "conv2.conv.weight", "fc6.linear.weight"])
@pytest.mark.parametrize("in_channels", [3, 1])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda each: each.to(torch.complex64), "complex numbers"),
        (Tensor.to_sparse, "a sparse tensor"),
        (lambda each: each.to("meta"), "a shape without numbers"),
    ],
)
def test_meta_complex_quantized_and_sparse_tensors_are_refused(name, in_channels, changed, words) -> None:
    theirs, model = network(narrow("torchvision"), 1), network(narrow("torchvision", in_channels=in_channels), 2)
    before = copy.deepcopy(model)
    tensors = {**theirs.state_dict(), name: changed(theirs.state_dict()[name])}
    for partial in (False, True):
        with pytest.raises(ArtifactError, match=f"'theirs.pth' holds {words}.* in '{name}'; save its numbers as dense"):
            load_tensors(model, tensors, where="theirs.pth", partial=partial)
    assert equal(model, before)


def test_half_precision_weights_are_loaded_unchanged() -> None:
    theirs = network(narrow("torchvision"), seed=1)
    half = {name: tensor.bfloat16() for name, tensor in theirs.state_dict().items()}
    model = network(narrow("torchvision", in_channels=1), seed=2)
    load_tensors(model, half, where="half.safetensors")
    assert model.conv2.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv2.conv.weight, half["conv2.conv.weight"].float())
    assert torch.equal(model.conv1.conv.weight, half["conv1.conv.weight"].float().sum(1, keepdim=True))


@torch.inference_mode()
def test_bgr_weights_give_the_same_maps_for_rgb() -> None:
    theirs, model = (network(narrow("paper"), seed) for seed in (1, 2))
    loaded = load_tensors(model, as_caffe(theirs), where="caffe.pth", pixels="bgr")
    assert loaded.adapted == (("conv1.conv.weight", "BGR to RGB"),)
    images = torch.randn(2, 3, 67, 67)
    assert torch.allclose(model(images), theirs(images.flip(1)), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("has_bias", [True, False])
def test_caffes_weights_give_the_same_maps_for_normalised_pixels(has_bias) -> None:
    """Caffe's preprocessing by hand and this package's normalisation give the same maps."""
    theirs = as_caffe(network(narrow("caffenet"), seed=1).double())
    if not has_bias:
        del theirs["conv1.bias"]
    model = network(narrow("caffenet"), seed=2).double()
    loaded = load_tensors(model, theirs, where="caffe.pth", pixels="caffe")
    assert "adapted: conv1 (" in str(loaded)
    assert "Caffe's pixels to normalised RGB" in str(loaded)

    red, green, blue = image = torch.randint(0, 256, (3, 67, 67), dtype=torch.float64)
    of_caffe = torch.stack([blue - 104, green - 117, red - 123])
    ours = torch.stack([(each / 255 - mean) / std for each, mean, std in zip(image, MEAN, STD, strict=True)])
    maps = F.conv2d(of_caffe[None], theirs["conv1.weight"], theirs.get("conv1.bias"), stride=4)
    assert torch.allclose(model.conv1.conv(ours[None]), maps, rtol=1e-9, atol=1e-9)


@torch.inference_mode()
def test_caffes_weights_work_for_grey_images() -> None:
    theirs = network(narrow("caffenet"), seed=1)
    grey, colour = (network(narrow("caffenet", in_channels=n), seed=2) for n in (1, 3))
    for model in (grey, colour):
        loaded = load_tensors(model, as_caffe(theirs), where="caffe.pth", pixels="caffe")
    assert "conv1 (Caffe's pixels to normalised RGB)" in str(loaded)
    images = torch.randn(2, 1, 67, 67)
    assert torch.allclose(grey(images), colour(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_bgr_is_refused_for_grey_weights() -> None:
    model = network(narrow("paper", in_channels=1))
    with pytest.raises(
        ArtifactError, match=r"conv1 in 'grey\.pth' has 1 input channels, so its pixels cannot be 'bgr'"
    ):
        load_tensors(model, model.state_dict(), where="grey.pth", pixels="bgr")
    with pytest.raises(SettingsError, match="unknown pixels 'rbg'; did you mean 'rgb'"):
        load_tensors(model, model.state_dict(), where="grey.pth", pixels="rbg")


@given(before=st.integers(1, 8), after=st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_grey_images_give_the_same_maps_with_other_channels(before, after) -> None:
    weight = torch.randn(4, before, 5, 5, dtype=torch.float64)
    adapted = with_channels(weight, after)
    assert adapted.shape == (4, after, 5, 5)
    if after == before:
        assert torch.equal(adapted, weight)
    if after == 1 or before == 1 or after % before == 0:
        grey = torch.randn(1, 1, 9, 9, dtype=torch.float64)
        maps = [F.conv2d(grey.expand(-1, each.shape[1], -1, -1), each) for each in (weight, adapted)]
        assert torch.allclose(*maps)


@torch.inference_mode()
@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 6)])
def test_grey_images_give_the_same_logits_with_other_channels(before, after) -> None:
    theirs, model = (network(narrow("torchvision", in_channels=n), n) for n in (before, after))
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth")
    how = f"conv1 ({before} to {after} channels, {'summed' if after == 1 else 'repeated'})"
    assert f"adapted: {how}" in str(loaded)
    grey = torch.randn(2, 1, 67, 67)
    logits = [each(grey.expand(-1, n, -1, -1)) for each, n in ((theirs, before), (model, after))]
    assert torch.allclose(*logits, rtol=1e-4, atol=1e-5)


@given(before=st.integers(1, 9), after=st.integers(1, 9), n_channels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_constant_maps_give_the_same_output_on_any_grid(before, after, n_channels) -> None:
    weight = torch.randn(4, n_channels * before**2, dtype=torch.float64)
    adapted = with_grid(weight, after, n_channels)
    assert adapted.shape == (4, n_channels * after**2)
    if after == before:
        assert torch.equal(adapted, weight)
    level = torch.randn(n_channels, 1, dtype=torch.float64)
    logits = [each @ level.expand(-1, side**2).flatten() for each, side in ((weight, before), (adapted, after))]
    assert torch.allclose(*logits)


@torch.inference_mode()
@pytest.mark.parametrize(("before", "after", "size"), [(6, 5, 192), (5, 6, 224), (6, 3, 128)])
def test_a_resampled_grid_equals_pooling_to_the_old_grid(before, after, size) -> None:
    theirs, model = (network(narrow("torchvision", grid=grid), grid) for grid in (before, after))
    assert model.forward_features(torch.zeros(1, 3, size, size)).shape[-1] == after
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth")
    assert f"fc6 ({before}x{before} to {after}x{after}, resampled)" in str(loaded)
    images = torch.randn(2, 3, size, size)
    assert torch.allclose(model(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_a_grid_is_not_guessed_for_another_number_of_maps() -> None:
    """256 maps of 6x6 have as many numbers as 1024 of 3x3."""
    theirs = network(narrow("torchvision"), seed=1)
    wide = replace(VARIANTS["torchvision"].layers[4], channels=1024)
    model = network(narrow("torchvision", grid=3, layers=(*VARIANTS["torchvision"].layers[:4], wide)), seed=2)
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth", partial=True)
    assert {"fc6.linear.weight", "conv5.conv.weight"} <= {*loaded.new}


def test_a_network_without_hidden_layers_is_adapted_too() -> None:
    theirs = network(replace(narrow("torchvision"), hidden=()), seed=1)
    model = network(replace(narrow("torchvision", grid=5), hidden=()), seed=2)
    assert "fc6 (6x6 to 5x5, resampled); new: nothing" in str(load_tensors(model, theirs.state_dict(), where="x.pth"))
    model = network(replace(narrow("torchvision", n_classes=2, grid=5), hidden=()), seed=2)
    assert "new: fc6; left: fc6.linear" in str(load_tensors(model, theirs.state_dict(), where="x.pth"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_own_names_are_recognised_in_every_variant(variant) -> None:
    model = AlexNet(narrow(variant))
    own = model.state_dict()
    names = {name for module in recognise(own).values() for name in module.names.values()}
    assert names == {*own}
    assert load_tensors(model, own, where="own").kept == tuple(own)


def test_torchvisions_module_names(of_torchvision) -> None:
    assert {f"{name}.weight" for name in TORCHVISION_MODULES} == {
        name for name in of_torchvision.state_dict() if name.endswith("weight")
    }
