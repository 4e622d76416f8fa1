"""Weights with a mean image fit networks with one, and no others: their pixels have another scale."""

from dataclasses import replace

import pytest
import torch

from alexnet import AlexNet
from alexnet.errors import ArtifactError, SettingsError
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import Conv
from alexnet.network.weights.loading import as_torchvision, load_tensors
from alexnet.network.weights.recognition import describe_layout, recognise, shapes_of

PLAIN = resolve("original", n_classes=2, width=0.1, hidden=(8,), image_size=67)
NET = replace(PLAIN, mean_image=True)


def trained(net=NET, seed: int = 0) -> AlexNet:
    torch.manual_seed(seed)
    model = AlexNet(net).eval()
    if model.mean_image is not None:
        model.mean_image.copy_(torch.rand_like(model.mean_image) * 255)
    return model


def images(n_channels: int = 3, size: int = 67) -> torch.Tensor:
    return torch.rand(2, n_channels, size, size, generator=torch.Generator().manual_seed(9)) * 255


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_it_is_loaded_whatever_wraps_the_network(prefix) -> None:
    theirs, model = trained(), AlexNet(NET).eval()
    tensors = {prefix + name: each for name, each in theirs.state_dict().items()}
    loaded = load_tensors(model, tensors, where="theirs.pth")
    assert torch.equal(model.mean_image, theirs.mean_image)
    assert torch.equal(model(images()), theirs(images()))
    assert loaded.kept == tuple(model.state_dict())
    assert loaded.left == loaded.new == ()
    assert str(loaded).startswith("kept: mean_image, conv1, ")


def test_it_is_no_layer() -> None:
    with_it, without = trained().state_dict(), trained(PLAIN).state_dict()
    assert recognise(with_it).keys() == recognise(without).keys()
    foreign = {name.replace("conv", "features.").replace("fc", "head."): each for name, each in with_it.items()}
    assert recognise(foreign).keys() == recognise(without).keys(), "by their order"
    assert describe_layout(shapes_of(recognise(with_it)), []) == describe_layout(shapes_of(recognise(without)), [])


def test_it_is_resized_for_another_image_size() -> None:
    theirs = trained()
    theirs.mean_image.copy_(torch.linspace(0, 255, 67).expand(3, 67, 67))
    model = AlexNet(replace(NET, image_size=99)).eval()
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth")
    assert ("mean_image", "67x67 to 99x99, resized") in loaded.adapted
    assert model.mean_image.shape == (3, 99, 99)
    assert torch.allclose(model.mean_image[0, 50], torch.linspace(0, 255, 99), atol=2)
    assert torch.allclose(model(images(size=99)), theirs(images(size=99)), atol=1e-4), "as theirs sees such images"


def test_grey_has_its_luminance() -> None:
    theirs, model = trained(), AlexNet(replace(NET, in_channels=1))
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth")
    assert ("mean_image", "3 to 1 channels") in loaded.adapted
    red, green, blue = theirs.mean_image
    assert torch.allclose(model.mean_image[0], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-3)

    grey, colour = trained(replace(NET, in_channels=1)), AlexNet(NET).eval()
    load_tensors(colour, grey.state_dict(), where="grey.pth")
    same = images(n_channels=1)
    assert torch.allclose(colour(same.expand(-1, 3, -1, -1)), grey(same), atol=1e-4)


def test_bgr_is_turned_round() -> None:
    theirs, model = trained(), AlexNet(NET).eval()
    load_tensors(model, theirs.state_dict(), where="bgr.pth", pixels="bgr")
    assert torch.equal(model.mean_image, theirs.mean_image.flip(0))
    assert torch.allclose(model(images()), theirs(images().flip(1)), atol=1e-4)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (NET, PLAIN, r"^'theirs.pth' holds a mean_image: .* 0 to 255, .* normalised pixels; use --recipe original"),
        (PLAIN, NET, r"^'theirs.pth' has no mean_image, but the network subtracts one, from pixels of 0 to 255; use "),
    ],
    ids=["with", "without"],
)
def test_weights_for_other_pixels_are_refused_and_nothing_changes(theirs, ours, message, partial) -> None:
    model = trained(ours, seed=1)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    with pytest.raises(ArtifactError, match=message) as caught:
        load_tensors(model, trained(theirs).state_dict(), where="theirs.pth", partial=partial)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        (torch.zeros(67 * 67 * 3), "mean_image in 'theirs.pth' is 13467; it must be"),
        (torch.zeros(2, 67, 67), "is 2x67x67; it must be"),
        (torch.zeros(3, 0, 0), "is 3x0x0; it must be"),
        (torch.full((3, 67, 67), torch.nan), "holds NaN or infinity in mean_image"),
        (torch.zeros(3, 67, 67, dtype=torch.complex64), "holds complex numbers in 'mean_image'"),
    ],
)
def test_what_is_no_mean_image_is_refused(mean, message) -> None:
    with pytest.raises(ArtifactError, match=message):
        load_tensors(AlexNet(NET), {**trained().state_dict(), "mean_image": mean}, where="theirs.pth")


def test_it_does_not_go_with_caffes_pixels() -> None:
    with pytest.raises(ArtifactError, match="so its pixels cannot be 'caffe'"):
        load_tensors(AlexNet(NET), trained().state_dict(), where="theirs.pth", pixels="caffe")


def test_torchvision_has_none() -> None:
    model = AlexNet(replace(resolve("torchvision", n_classes=2), mean_image=True))
    with pytest.raises(SettingsError, match="mean_image of this network differ from torchvision's AlexNet"):
        as_torchvision(model)


def test_a_network_of_ones_own_may_have_one() -> None:
    net = replace(NET, layers=(Conv(channels=4, kernel=3),), hidden=(), grid=2, image_size=8)
    theirs, model = trained(net), AlexNet(net)
    load_tensors(model, theirs.state_dict(), where="own.pth")
    assert torch.equal(model.mean_image, theirs.mean_image)
