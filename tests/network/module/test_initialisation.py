import pytest
import torch
from torch import nn

from alexnet import AlexNet, Architecture
from alexnet.network.module.initialisation import initialise
from alexnet.network.value.layers import Conv, Pool

NET = Architecture(hidden=(16, 8), n_classes=3, image_size=67)


def biases_of(model: AlexNet) -> dict[str, set[float]]:
    return {
        name.partition(".")[0]: set(module.bias.tolist())
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def test_the_papers_weights_are_small_and_some_of_its_biases_ones() -> None:
    """Section 5: N(0, 0.01); ones in the second, fourth and fifth convolutional and the hidden layers."""
    model = AlexNet(Architecture(n_classes=1000))
    torch.manual_seed(0)
    initialise(model, "paper")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.02)
            assert abs(module.weight.mean().item()) < 2e-4
    ones = {name for name, values in biases_of(model).items() if values == {1.0}}
    zeros = {name for name, values in biases_of(model).items() if values == {0.0}}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}


def test_the_papers_initialisation_follows_the_number_of_layers() -> None:
    """With three convolutional layers, the fully-connected ones are fc4 to fc6."""
    short = (Conv(channels=8, kernel=5, stride=4), Conv(channels=8, kernel=3, pool=Pool()), Conv(channels=8, kernel=3))
    model = AlexNet(Architecture(layers=short, hidden=(16, 8), n_classes=2))
    initialise(model, "paper")
    ones = {name for name, values in biases_of(model).items() if values == {1.0}}
    assert ones == {"conv2", "fc4", "fc5"}
    assert biases_of(model)["fc6"] == {0.0}


def test_torchs_initialisation_replaces_another() -> None:
    model = AlexNet(NET, n_classes=3)
    initialise(model, "paper")
    initialise(model, "torch")
    assert biases_of(model)["conv2"] != {1.0}
    assert float(model.conv1.conv.weight.detach().abs().max()) == pytest.approx(1 / (3 * 11 * 11) ** 0.5, rel=0.01)


@pytest.mark.parametrize("how", ["torch", "paper", "caffenet"])
def test_the_same_seed_gives_the_same_weights(how) -> None:
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(AlexNet(NET, n_classes=3))
        initialise(models[-1], how)
    one, same, other = (model.conv3.conv.weight for model in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
