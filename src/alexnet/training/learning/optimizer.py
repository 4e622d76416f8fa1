"""The optimiser in parameter groups: SGD with momentum, the one of 2012, or Muon for the convolutions beside SGD."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.muon import Muon
from alexnet.training.learning.original_sgd import OriginalSGD
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
        of: whether they are weights or biases, where the recipe has a learning rate for these alone.
        layer: their layer, where the recipe has a learning rate for it alone.
    """

    decays: bool
    is_loaded: bool
    n_matrices: int = 0
    of: Literal["weights", "biases"] = "weights"
    layer: str = ""

    def group(self, parameters: list[nn.Parameter], recipe: Recipe) -> dict[str, Any]:
        """Return the parameter group."""
        return {
            "params": parameters,
            "weight_decay": recipe.weight_decay if self.decays else 0.0,
            "lr_share": LOADED_LR_SHARE if self.is_loaded else 1.0,
            "n_matrices": self.n_matrices,
            "of": self.of,
            "layer": self.layer,
        }


def make_optimizer(
    model: nn.Module, recipe: Recipe, runtime: Runtime, loaded: frozenset[str] = frozenset()
) -> torch.optim.Optimizer:
    """Return an optimiser for all weights that are not frozen.

    With ``recipe.optimizer`` ``muon``, it trains the weights of the convolutions, and SGD everything else. Hidden
    layers are not worth it: fc6 and fc7 would take 1.7 TFLOP a step, and gained nothing (docs/experiments.md).

    Args:
        model: the network; frozen parameters have ``requires_grad`` off.
        recipe: optimiser, momentum and weight decay; norms and biases have no weight decay unless ``decay_all`` is set.
            With ``lr_inside_momentum`` the optimiser is ``OriginalSGD``.
        runtime: device and precision.
        loaded: names of the loaded parameters, which are trained at ``LOADED_LR_SHARE`` of the learning rate.
    """
    layers = {each.layer for each in recipe.layer_rates}
    has_own_rates = recipe.bias_lr is not None or bool(layers)
    groups: dict[_Kind, list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(path, recurse=False):
            if parameter.requires_grad:
                layer = name.partition(".")[0]
                is_kernel = isinstance(module, nn.Conv2d) and parameter.ndim > 1 and recipe.optimizer == "muon"
                kind = _Kind(
                    decays=recipe.decay_all or parameter.ndim > 1,
                    is_loaded=name in loaded,
                    n_matrices=module.groups if is_kernel else 0,
                    of="biases" if has_own_rates and name.endswith(".bias") else "weights",
                    layer=layer if layer in layers else "",
                )
                groups.setdefault(kind, []).append(parameter)
    made = [kind.group(parameters, recipe) for kind, parameters in groups.items()]
    if recipe.lr_inside_momentum:
        return OriginalSGD(made, lr=recipe.lr, momentum=recipe.momentum)
    return (Muon if recipe.optimizer == "muon" else torch.optim.SGD)(
        made,
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov and recipe.momentum > 0,
        # Fused: one pass over the weights instead of five.
        fused=runtime.device.type in ("cpu", "cuda"),
    )


def set_lr(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """Set the learning rates of a progress in [0, 1]; each parameter group gets its share of its own."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.lr_of(group["layer"], group["of"], progress) * group["lr_share"]
