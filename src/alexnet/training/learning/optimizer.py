"""The optimiser: SGD with momentum, in parameter groups."""

import torch
from torch import nn

from alexnet.training.choices.recipe import Recipe
from alexnet.training.machine.runtime import Runtime

# Loaded weights are trained at a fifth of the learning rate of new ones.
LOADED_LR_SHARE = 0.2


def make_optimizer(
    model: nn.Module, recipe: Recipe, runtime: Runtime, loaded: frozenset[str] = frozenset()
) -> torch.optim.SGD:
    """Return SGD with momentum over all weights that are not frozen.

    Args:
        model: the network; frozen parameters have ``requires_grad`` off.
        recipe: momentum and weight decay; norms and biases have no weight decay unless ``decay_all`` is set.
        runtime: device and precision.
        loaded: names of the loaded parameters, which are trained at ``LOADED_LR_SHARE`` of the learning rate.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = recipe.decay_all or parameter.ndim > 1
            groups.setdefault((decays, name in loaded), []).append(parameter)
    return torch.optim.SGD(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if decays else 0.0,
                "lr_share": LOADED_LR_SHARE if is_loaded else 1.0,
            }
            for (decays, is_loaded), parameters in groups.items()
        ],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        # Fused: one pass over the weights instead of five.
        fused=runtime.device.type in ("cpu", "cuda"),
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate; each parameter group gets its share."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_share"]
