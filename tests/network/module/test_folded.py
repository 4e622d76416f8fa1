"""Pooling and the first fully-connected layer as one matrix: the same output and gradients, only in training."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from alexnet import AlexNet
from alexnet.network.value.changes import resolve

BATCHNORM = resolve("batchnorm", width=0.125, hidden=(12, 10), n_classes=3, image_size=224, dropout=0.0)
NETS = {
    "batchnorm": BATCHNORM,
    "grey": replace(BATCHNORM, in_channels=1),
    "no hidden layer": replace(BATCHNORM, hidden=()),
    "6x6": resolve("torchvision", width=0.125, hidden=(12, 10), n_classes=3, dropout=0.0),
}


@pytest.fixture(params=NETS)
def model(request) -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(NETS[request.param]).double()


def maps_of(model: AlexNet, height: int, width: int) -> torch.Tensor:
    n_channels = model.architecture.layers[-1].channels
    drawn = torch.randn(4, n_channels, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return drawn.requires_grad_()


def is_folded(model: AlexNet, inputs: torch.Tensor) -> bool:
    """Return whether the first fully-connected layer is not applied by itself to these maps or images."""
    name = next(name for name in model.layer_names if name.startswith("fc"))
    called = []
    handle = model.get_submodule(name).linear.register_forward_hook(lambda *_: called.append(name))
    is_images = inputs.shape[1] == model.architecture.in_channels
    (model if is_images else model.forward_head)(inputs)
    handle.remove()
    return not called


def outputs_and_gradients(model: AlexNet, maps: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad(set_to_none=True)
    maps.grad = None
    outputs = model.forward_head(maps)
    outputs.square().sum().backward()
    weights = [each.grad for name, each in model.named_parameters() if name.startswith("fc")]
    return [outputs.detach(), maps.grad, *weights]


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_it_is_pooling_and_then_the_layer(model, side, monkeypatch) -> None:
    maps = maps_of(model, side, side)
    assert is_folded(model, maps)
    folded = outputs_and_gradients(model, maps)
    monkeypatch.setattr(AlexNet, "_folds", lambda *_: False)
    assert not is_folded(model, maps)
    plain = outputs_and_gradients(model, maps)
    assert len(folded) == len(plain) == 2 + 2 * (len(model.layer_names) - 5)
    for one, other in zip(folded, plain, strict=True):
        assert one.abs().max() > 0
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_maps_of_the_grid_and_larger_ones_and_unequal_sides_are_not_folded(model) -> None:
    grid = model.architecture.grid
    for height, width in ((grid, grid), (grid + 2, grid + 2), (2, 3), (3, 2)):
        assert not is_folded(model, maps_of(model, height, width)), (height, width)


def test_in_evaluation_hooks_see_the_layer(model) -> None:
    assert not is_folded(model.eval(), maps_of(model, 2, 2))
    assert is_folded(model.train(), maps_of(model, 2, 2))


def test_with_dropout_nothing_is_folded() -> None:
    model = AlexNet(replace(BATCHNORM, dropout=0.2)).double()
    assert not is_folded(model, maps_of(model, 2, 2))
    model.eval()
    assert not is_folded(model, maps_of(model, 2, 2))


@pytest.mark.parametrize("name", NETS)
def test_small_images_learn_folded_even_after_inference(name) -> None:
    """torch's inference tensors cannot be saved for a backward pass."""
    torch.manual_seed(0)
    model = AlexNet(NETS[name])
    images = torch.rand(4, model.architecture.in_channels, 67, 67)
    with torch.inference_mode():
        model(images)
        model.eval()(images)
    model.train()
    assert is_folded(model, images)
    model(images).square().sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in model.parameters())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_order_of_maps_in_memory_changes_nothing(memory_format) -> None:
    model = AlexNet(BATCHNORM).double()
    maps = maps_of(model, 3, 3)
    expected = model.forward_head(maps)
    assert torch.allclose(model.forward_head(maps.contiguous(memory_format=memory_format)), expected, rtol=1e-12)


def test_in_bfloat16_it_is_close_to_float32() -> None:
    torch.manual_seed(0)
    model = AlexNet(BATCHNORM)
    maps = maps_of(model, 2, 2).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.forward_head(maps)
    assert torch.allclose(found.float(), model.forward_head(maps), atol=0.02)


def test_a_backbone_folds_too() -> None:
    features = AlexNet(BATCHNORM).features("fc6")
    called = []
    features.get_submodule("fc6").linear.register_forward_hook(lambda *_: called.append(nn.Linear))
    images = torch.rand(2, 3, 67, 67)
    assert features(images).shape == (2, 12)
    assert not called
    features.eval()(images)
    assert called
