"""A network as a backbone: features, embeddings, frozen layers and learning rates by layer."""

import pytest
import torch

from alexnet import AlexNet
from alexnet.errors import SettingsError


@pytest.fixture(scope="module")
def model() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(n_classes=3, width=0.25, hidden=(40, 30)).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 100, 130)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1", (24, 11, 14)),
        ("conv3", (96, 5, 6)),
        ("conv5", (64, 2, 2)),
        ("fc6", (40,)),
        ("fc7", (30,)),
        ("fc8", (3,)),
    ],
)
def test_features_are_the_output_of_the_layer(model, images, layer, shape) -> None:
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        model(images)
        handle.remove()
        features = model.features(layer)
        assert torch.equal(features(images), seen[0])
    assert seen[0].shape == (2, *shape)
    assert features.n_channels == shape[0]


def test_features_share_their_weights(model) -> None:
    features = model.features("conv3")
    assert features.layer_names == ("conv1", "conv2", "conv3")
    assert features.conv2.conv.weight is model.conv2.conv.weight


def test_an_unknown_layer_is_refused_with_the_nearest(model) -> None:
    with pytest.raises(SettingsError, match="did you mean 'conv3'"):
        model.features("conv33")


def test_features_and_head_make_the_network(model, images) -> None:
    with torch.inference_mode():
        maps = model.forward_features(images)
        assert maps.shape == (2, 64, 2, 2)
        assert torch.equal(model.forward_head(maps), model(images))


def test_embeddings_are_fc7_after_its_activation(model, images) -> None:
    with torch.inference_mode():
        embedded = model.embed(images)
        assert torch.equal(embedded, model.features("fc7")(images))
        assert torch.equal(model.fc8(embedded), model(images))
    assert embedded.shape == (2, 30)
    assert float(embedded.min()) >= 0
    flat = AlexNet(n_classes=3, width=0.25, hidden=()).eval()
    assert flat.embed(images).shape == (2, 64 * 5 * 5)


def test_frozen_layers_do_not_change() -> None:
    model = AlexNet(n_classes=3, width=0.25, hidden=(40, 30))
    assert model.freeze("conv3") == ("conv1", "conv2", "conv3")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    model(torch.randn(4, 3, 80, 80)).square().sum().backward()
    optimizer.step()
    changed = {
        name.partition(".")[0] for name, each in model.state_dict().items() if not torch.equal(each, before[name])
    }
    assert changed == {"conv4", "conv5", "fc6", "fc7", "fc8"}
    assert not model.conv1.norm.training
    assert model.conv4.norm.training
    assert AlexNet(n_classes=3, width=0.25, hidden=()).freeze("conv")[-1] == "conv5"


def test_frozen_norms_do_not_change_in_a_backbone_and_on_several_gpus() -> None:
    model = AlexNet(n_classes=3, width=0.25, hidden=(40,))
    model.freeze("conv2")
    features = model.features("conv3").train()
    assert [features.get_submodule(name).norm.training for name in features.layer_names] == [False, False, True]
    torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.train()
    assert [model.get_submodule(f"conv{n}").norm.training for n in (1, 2, 3)] == [False, False, True]


def test_features_of_too_small_an_image_are_refused(model) -> None:
    with pytest.raises(SettingsError, match="67 px"):
        model.features("conv2")(torch.zeros(1, 3, 20, 20))


@pytest.mark.parametrize("layer_decay", [0, -1, 1.5])
def test_an_invalid_layer_decay_is_refused(model, layer_decay) -> None:
    with pytest.raises(SettingsError, match="layer_decay"):
        model.parameter_groups(0.1, layer_decay)


@pytest.mark.parametrize(("up_to", "message"), [("fc8", "nothing is left"), ("conv33", "did you mean 'conv3'")])
def test_invalid_layers_to_freeze_are_refused(model, up_to, message) -> None:
    with pytest.raises(SettingsError, match=message):
        model.freeze(up_to)


def test_earlier_layers_have_smaller_learning_rates() -> None:
    model = AlexNet(n_classes=3, width=0.25, hidden=(40, 30))
    groups = model.parameter_groups(lr=0.1, layer_decay=0.5)
    assert [group["name"] for group in groups] == list(model.layer_names)
    assert [group["lr"] for group in groups[-3:]] == [0.025, 0.05, 0.1]
    assert sum(each.numel() for group in groups for each in group["params"]) == model.architecture.n_parameters
    torch.optim.SGD(groups).step()
    model.freeze("conv2")
    assert next(group["name"] for group in model.parameter_groups(lr=0.1)) == "conv3"
