"""Averaged weights: an exponential moving average (EMA) over the last part of training."""

import copy
import math

import torch
from torch import nn

# One update of 47 million weights takes 26 ms on two slow cores, about as long as one image at 128 px.
STEPS_BETWEEN = 4


class Average:
    """An exponential moving average of a network's weights and batch norm statistics.

    It covers a share of the training done so far, not a number of steps. So one recipe suits 100 steps and 100,000,
    and the random initial weights are forgotten without bias correction.

    Not ``torch.optim.swa_utils.AveragedModel``: its first update copies the weights, and its state holds a counter, so
    numbers and checkpoints would change.

    Args:
        model: the network to average.
        share: share of the training done so far that the average covers, in (0, 1).

    Source: Polyak and Juditsky 1992; the growing window is that of Shamir and Zhang 2013.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.share = share
        self.model = copy.deepcopy(model).eval()

    @torch.no_grad()
    def update(self, model: nn.Module, before: float, now: float) -> None:
        """Add the current weights.

        Args:
            model: the network to average.
            before: progress at the last update, in [0, 1].
            now: current progress; greater than ``before``.
        """
        weight = 1 - math.exp(-(now - before) / (self.share * now))
        current = model.state_dict()
        averaged, others = [], []
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                averaged.append(tensor)
                others.append(current[name])
            else:
                tensor.copy_(current[name])
        torch._foreach_lerp_(averaged, others, weight)
