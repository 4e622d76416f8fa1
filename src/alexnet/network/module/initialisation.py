"""Random initial weights for each member of the family."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from alexnet.network.value.architecture import Initialisation

# The paper sets the biases of these and of the hidden layers to one, which gives ReLUs positive inputs at first.
BIASED = ("conv2", "conv4", "conv5")
# The program of 2012 has larger weights here.
MIDDLE = ("conv3", "conv4", "conv5")


@dataclass(frozen=True)
class NormalInit:
    """Normal distributions for the weights, and a constant for the biases.

    Attributes:
        std: standard deviation of all weights except the others named here.
        middle_std: standard deviation of the weights of ``MIDDLE``.
        hidden_std: standard deviation of the weights of hidden fully-connected layers.
        bias: the biases in conv2, conv4, conv5 and the hidden layers; zero elsewhere.
    """

    std: float
    middle_std: float
    hidden_std: float
    bias: float


NORMAL_INITS: Mapping[Initialisation, NormalInit] = {
    "paper": NormalInit(std=0.01, middle_std=0.01, hidden_std=0.01, bias=1.0),  # section 5
    "original": NormalInit(std=0.01, middle_std=0.03, hidden_std=0.01, bias=1.0),  # layers-145.cfg
    "caffenet": NormalInit(std=0.01, middle_std=0.01, hidden_std=0.005, bias=0.1),  # models/bvlc_alexnet of BVLC/caffe
}


def initialise(model: nn.Module, how: Initialisation) -> None:
    """Draw new random weights for a network from torch's global generator. Norms stay as they are.

    Args:
        model: a network with layers ``conv1`` ... and ``fc6`` ...
        how: ``torch`` is the default of torch's layers. ``paper`` is N(0, 0.01) with biases of one in conv2, conv4,
            conv5 and the hidden layers; ``original`` is the same, but N(0, 0.03) in conv3, conv4 and conv5.
            ``caffenet`` has smaller weights in the hidden layers and biases of 0.1.

    Source: the paper, section 5.
    """
    if how == "torch":
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
        return
    init = NORMAL_INITS[how]
    linear = [name.partition(".")[0] for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    hidden = linear[:-1]
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            layer = name.partition(".")[0]
            std = init.hidden_std if layer in hidden else init.middle_std if layer in MIDDLE else init.std
            nn.init.normal_(module.weight, std=std)
            assert module.bias is not None
            nn.init.constant_(module.bias, init.bias if layer in BIASED or layer in hidden else 0.0)
