"""The weights that are kept: a mean over the last part of training, steadier than where the last step ended."""

import copy
import math

import torch
from torch import nn

# A pass over 47 million weights takes two slow cores 26 ms, about an image's time at 128 px; each fourth step will do.
STEPS_BETWEEN = 4


class Average:
    """An exponential moving average of a network's weights and of what batch norm has counted.

    Its memory is a share of the training done so far, not a number of steps: the same recipe then suits 100 steps and
    100,000, and the random beginning is forgotten by itself.

    Args:
        model: the network to follow.
        share: how much of the training done so far it remembers, in (0, 1).

    Source: Polyak and Juditsky 1992; the growing memory is that of Shamir and Zhang 2013.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.share = share
        self.model = copy.deepcopy(model).eval()

    @torch.no_grad()
    def update(self, model: nn.Module, before: float, now: float) -> None:
        """Take the present weights in.

        Args:
            model: the network that is being followed.
            before: share of training done when this was last called, in [0, 1].
            now: share of training done, above that.
        """
        weight = 1 - math.exp(-(now - before) / (self.share * now))
        present = model.state_dict()
        averaged, others = [], []
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                averaged.append(tensor)
                others.append(present[name])
            else:
                tensor.copy_(present[name])
        torch._foreach_lerp_(averaged, others, weight)
