"""Random weights, as each member of the family begins with them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from alexnet.network.value.architecture import Initialisation

# The layers whose biases the paper sets to one, which gives ReLUs positive inputs to begin with; hidden ones as well.
BIASED = ("conv2", "conv4", "conv5")


@dataclass(frozen=True)
class Draws:
    """Spreads of the normal distributions that weights are drawn from, and the biases that are not zero.

    Attributes:
        std: of all weights but those of hidden layers.
        hidden_std: of the weights of hidden fully-connected layers.
        bias: in conv2, conv4, conv5 and the hidden layers; zero elsewhere.
    """

    std: float
    hidden_std: float
    bias: float


DRAWS: Mapping[Initialisation, Draws] = {
    "paper": Draws(std=0.01, hidden_std=0.01, bias=1.0),  # section 5
    "caffenet": Draws(std=0.01, hidden_std=0.005, bias=0.1),  # models/bvlc_alexnet of BVLC/caffe
}


def initialise(model: nn.Module, how: Initialisation) -> None:
    """Draw a network's random weights anew, from torch's global random numbers; norms stay as they are.

    Args:
        model: a network of layers ``conv1`` ... and ``fc6`` ...
        how: ``torch`` is what torch's layers do by themselves, ``paper`` is N(0, 0.01) and biases of one in conv2,
            conv4, conv5 and the hidden layers, ``caffenet`` has smaller weights in the hidden layers and biases of 0.1.

    Source: the paper, section 5.
    """
    if how == "torch":
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
        return
    draws = DRAWS[how]
    linear = [name.partition(".")[0] for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    hidden = linear[:-1]
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            layer = name.partition(".")[0]
            nn.init.normal_(module.weight, std=draws.hidden_std if layer in hidden else draws.std)
            assert module.bias is not None
            nn.init.constant_(module.bias, draws.bias if layer in BIASED or layer in hidden else 0.0)
