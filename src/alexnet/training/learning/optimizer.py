"""The optimiser in parameter groups: SGD with momentum, or Muon for the convolutions beside it."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.muon import Muon
from alexnet.training.machine.runtime import Runtime

# Loaded weights are trained at a fifth of the learning rate of new ones.
LOADED_LR_SHARE = 0.2


@dataclass(frozen=True)
class _Kind:
    """What the parameters of a group have in common.

    Attributes:
        decays: whether they have weight decay.
        is_loaded: whether they were loaded, so that they learn at ``LOADED_LR_SHARE`` of the learning rate.
        n_matrices: matrices in each weight, for Muon; 0 for SGD.
    """

    decays: bool
    is_loaded: bool
    n_matrices: int = 0

    def group(self, parameters: list[nn.Parameter], recipe: Recipe) -> dict[str, Any]:
        """Return the parameter group."""
        return {
            "params": parameters,
            "weight_decay": recipe.weight_decay if self.decays else 0.0,
            "lr_share": LOADED_LR_SHARE if self.is_loaded else 1.0,
            "n_matrices": self.n_matrices,
        }


def make_optimizer(
    model: nn.Module, recipe: Recipe, runtime: Runtime, loaded: frozenset[str] = frozenset()
) -> torch.optim.SGD:
    """Return an optimiser for all weights that are not frozen.

    With ``recipe.optimizer`` ``muon``, it trains the weights of the convolutions, and SGD everything else. Hidden
    layers are not worth it: fc6 and fc7 would take 1.7 TFLOP a step, and gained nothing (docs/experiments.md).

    Args:
        model: the network; frozen parameters have ``requires_grad`` off.
        recipe: optimiser, momentum and weight decay; norms and biases have no weight decay unless ``decay_all`` is set.
        runtime: device and precision.
        loaded: names of the loaded parameters, which are trained at ``LOADED_LR_SHARE`` of the learning rate.
    """
    groups: dict[_Kind, list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(path, recurse=False):
            if parameter.requires_grad:
                is_kernel = isinstance(module, nn.Conv2d) and parameter.ndim > 1 and recipe.optimizer == "muon"
                kind = _Kind(
                    decays=recipe.decay_all or parameter.ndim > 1,
                    is_loaded=name in loaded,
                    n_matrices=module.groups if is_kernel else 0,
                )
                groups.setdefault(kind, []).append(parameter)
    return (Muon if recipe.optimizer == "muon" else torch.optim.SGD)(
        [kind.group(parameters, recipe) for kind, parameters in groups.items()],
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
