"""Muon for some weights and SGD or AdamW for the others, with all numbers of an arm."""

import torch
from torch import Tensor, nn

from alexnet.training.learning.muon import orthogonalise
from benchmarks.equal_compute.arm import Arm


class Optimizer:
    """The optimiser of an arm. Not that of the package, which has no need of most of these numbers."""

    def __init__(self, network: nn.Module, arm: Arm) -> None:
        self.arm = arm
        self.of_muon: list[tuple[nn.Parameter, Tensor]] = []
        groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            if arm.optimizer == "muon" and _is_for_muon(name, parameter, arm):
                self.of_muon.append((parameter, torch.zeros_like(parameter)))
            else:
                share = arm.hidden_lr if name.startswith(("fc6", "fc7")) else 1.0
                groups.setdefault((parameter.ndim > 1, share), []).append(parameter)
        grouped = [
            {"params": parameters, "weight_decay": arm.weight_decay if decays else 0.0, "share": share}
            for (decays, share), parameters in groups.items()
        ]
        self.rest: torch.optim.Optimizer
        if arm.rest == "adamw":
            self.rest = torch.optim.AdamW(grouped, lr=arm.lr, betas=(0.9, 0.98), fused=True)
        else:
            self.rest = torch.optim.SGD(grouped, lr=arm.lr, momentum=arm.momentum, nesterov=True, fused=True)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update all parameters, with all learning rates multiplied by a factor."""
        for group in self.rest.param_groups:
            group["lr"] = self.arm.lr * factor * group["share"]
        self.rest.step()
        self.rest.zero_grad()
        for weight, mean in self.of_muon:
            self._update(weight, mean, self.arm.muon_lr * factor)
            weight.grad = None

    def _update(self, weight: nn.Parameter, mean: Tensor, lr: float) -> None:
        arm, gradient = self.arm, weight.grad
        assert gradient is not None
        mean.lerp_(gradient, 1 - arm.muon_momentum)
        matrix = gradient.lerp(mean, arm.muon_momentum).reshape(len(weight), -1)
        direction = orthogonalise(matrix, arm.muon_steps).reshape(weight.shape)
        if arm.muon_norm:
            weight.mul_(len(weight) ** 0.5 / weight.norm())
        else:
            weight.mul_(1 - lr * arm.muon_decay)
        n_rows, n_columns = matrix.shape
        scale = max(1.0, n_rows / n_columns) if arm.muon_scale == "tall" else 0.04 * max(n_rows, n_columns)
        weight.add_(direction, alpha=-lr * scale**0.5)


def _is_for_muon(name: str, parameter: nn.Parameter, arm: Arm) -> bool:
    if parameter.ndim == 4:
        return arm.muon_conv1 or not name.startswith("conv1")
    return arm.muon_hidden and parameter.ndim == 2 and not name.startswith("fc8")
