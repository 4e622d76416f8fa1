"""Muon: momentum whose matrices are made orthogonal, so that every direction of a weight learns equally fast."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# The quintic of Jordan's Muon: it raises small singular values fast, and ends between 0.7 and 1.2, not at 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# Two learn less and five no more, in as many steps of training: see docs/experiments.md.
N_STEPS = 3


def orthogonalise(matrices: Tensor, n_steps: int = N_STEPS) -> Tensor:
    """Return matrices whose singular vectors are the same, and whose singular values are close to 1.

    Each step multiplies by a polynomial of the Gram matrix. Those polynomials commute, so they are multiplied with each
    other first, as small square matrices, and only the product with the wide matrix. For the kernels of AlexNet this
    takes half the arithmetic of multiplying the wide matrix in each step.

    Args:
        matrices: ``(..., m, n)`` float32.
        n_steps: Newton-Schulz steps; a step multiplies small singular values by 3.4.

    Returns:
        ``(..., m, n)``. A matrix of zeros stays zero.

    Source: Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024).
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if is_tall else matrices
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    a, b, c = COEFFICIENTS
    gram = wide @ wide.mT
    product = identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for step in range(n_steps):
        factor = a * identity + b * gram + c * (gram @ gram)
        product = factor @ product if step else factor
        if step < n_steps - 1:
            gram = factor @ gram @ factor
    result: Tensor = product @ wide
    return result.mT if is_tall else result


class Muon(torch.optim.SGD):
    """Muon for the convolutions and SGD for everything else.

    A parameter group with ``n_matrices`` holds weights of convolutions ``(O, I, h, w)`` with that many groups: each
    is a matrix ``(O / n_matrices, I * h * w)``. All other groups are SGD's. Muon has Nesterov momentum, and decoupled
    weight decay that is as strong as SGD's: ``weight_decay / (1 - momentum)``.

    Not ``torch.optim.Muon``: it takes two-dimensional weights only, and computes in bfloat16, which is slow on most
    CPUs.

    Source: github.com/KellerJordan/Muon; for convolutions github.com/KellerJordan/cifar10-airbench.
    """

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights that have gradients; a closure computes these first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("n_matrices"):
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._update(weight, weight.grad, group)
                        weight.grad = None  # so that SGD leaves it as it is
        super().step()
        return loss

    @torch.no_grad()
    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        momentum, lr = group["momentum"], group["lr"]
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        # Channels last: the order in memory, and the order of columns does not matter.
        last = ahead.permute(0, 2, 3, 1)
        matrices = last.reshape(group["n_matrices"], len(weight) // group["n_matrices"], -1)
        direction = orthogonalise(matrices.float()).reshape(last.shape).permute(0, 3, 1, 2)
        taller = max(1.0, matrices.shape[-2] / matrices.shape[-1]) ** 0.5
        weight.mul_(1 - lr * group["weight_decay"] / (1 - momentum))
        weight.add_(direction, alpha=-lr * taller)
