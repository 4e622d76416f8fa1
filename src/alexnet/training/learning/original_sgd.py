"""SGD as the program of 2012 has it: the learning rate is inside the momentum."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class OriginalSGD(torch.optim.Optimizer):
    """SGD whose momentum is a mean of past steps, not of past gradients.

        v = momentum * v - weight_decay * lr * w - lr * gradient
        w = w + v

    ``torch.optim.SGD`` keeps gradients in its momentum, and multiplies it by the learning rate of the present step. The
    two are the same until the learning rate changes: here, steps taken at the old rate run out by themselves.

    With a learning rate of 0 a group stays as it is, its momentum too, as in the program.

    Args:
        groups: parameter groups, each with ``params`` and ``weight_decay``.
        lr: learning rate.
        momentum: in [0, 1).

    Source: the paper, section 5; src/weights.cu of computerhistory/AlexNet-Source-Code.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, momentum: float) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights that have gradients; a closure computes these first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["lr"] > 0:
                self._update(group)
        return loss

    @torch.no_grad()
    def _update(self, group: dict[str, Any]) -> None:
        weights: list[Tensor] = [each for each in group["params"] if each.grad is not None]
        gradients = [each.grad for each in weights if each.grad is not None]
        if not weights:
            return
        for weight in weights:
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        steps: list[Tensor] = [self.state[weight]["momentum_buffer"] for weight in weights]
        torch._foreach_mul_(steps, group["momentum"])
        if group["weight_decay"]:
            torch._foreach_add_(steps, weights, alpha=-group["weight_decay"] * group["lr"])
        torch._foreach_add_(steps, gradients, alpha=-group["lr"])
        torch._foreach_add_(weights, steps)
