"""What changes the weights: SGD, and which of them it changes how much."""

import torch
from torch import nn

from alexnet.training.choices.recipe import Recipe
from alexnet.training.machine.runtime import Runtime

# What was learned elsewhere changes at a fifth of the pace of what is new.
LOADED_LR_SHARE = 0.2


def make_optimizer(
    model: nn.Module, recipe: Recipe, runtime: Runtime, loaded: frozenset[str] = frozenset()
) -> torch.optim.SGD:
    """Return SGD with momentum over all weights that are not frozen.

    Args:
        model: the network; of a frozen part, ``requires_grad`` is off.
        recipe: momentum and weight decay; the latter spares norms and biases, unless the recipe says otherwise.
        runtime: where it runs.
        loaded: names of the parameters that come from elsewhere, and learn at ``LOADED_LR_SHARE`` of the rate.
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
        # One pass over the weights instead of five.
        fused=runtime.device.type in ("cpu", "cuda"),
    )


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all weights; what was loaded gets its share of it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_share"]
