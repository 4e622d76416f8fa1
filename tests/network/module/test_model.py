import copy

import pytest
import torch

from alexnet import AlexNet
from alexnet.errors import SettingsError
from alexnet.network.module.model import without_weights
from alexnet.network.value.architecture import Architecture


@pytest.fixture(scope="module")
def model() -> AlexNet:
    return AlexNet(n_classes=3).eval()


@pytest.mark.parametrize("size", [67, 128, 224, 300])
def test_any_legal_size_gives_logits(model, size) -> None:
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, size, size)).shape == (2, 3)


def test_too_small_an_image_is_refused(model) -> None:
    with pytest.raises(SettingsError, match="67 px"):
        model(torch.zeros(1, 3, 66, 300))


def test_layers_have_the_usual_names(model) -> None:
    names = [name for name, _ in model.named_children()]
    assert names == ["conv1", "conv2", "conv3", "conv4", "conv5", "flatten", "fc6", "fc7", "fc8"]


def test_no_layer_changes_its_input(model) -> None:
    """Hooks of saliency methods must see the output of the convolution, not of ReLU (pytorch/vision #4164)."""
    seen = {}

    def note(module, inputs, output) -> None:
        seen["is"], seen["was"] = output, output.clone()

    handle = model.conv5.conv.register_forward_hook(note)
    with torch.inference_mode():
        model(torch.rand(1, 3, 67, 67))
    handle.remove()
    assert torch.equal(seen["is"], seen["was"])


def test_every_parameter_learns() -> None:
    model = AlexNet(Architecture(hidden=(16, 16), n_classes=3, image_size=67))
    model(torch.rand(4, 3, 67, 67)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_grey_images_and_other_parts() -> None:
    model = AlexNet(in_channels=1, norm="none", activation="gelu", hidden=(), n_classes=2, image_size=67)
    assert model(torch.rand(1, 1, 67, 67)).shape == (1, 2)


def test_copies_are_equal_and_independent(model) -> None:
    twin = copy.deepcopy(model)
    images = torch.rand(1, 3, 67, 67)
    with torch.inference_mode():
        assert torch.equal(model(images), twin(images))
    assert twin.conv1.conv.weight is not model.conv1.conv.weight


def test_shapes_without_weights_take_no_memory() -> None:
    assert all(parameter.is_meta for parameter in without_weights(Architecture()).parameters())
