"""One step: forward, loss, backward, update; in parts where memory is short, and over several processes."""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.network.module.dropout import Dropout
from alexnet.training.choices.recipe import Recipe
from alexnet.training.machine.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Step:
    """How one batch is learned from.

    Attributes:
        network: what computes logits: the model itself, compiled, or shared between processes.
        optimizer: what changes its weights.
        runtime: where it runs.
        recipe: how far labels are smoothed, and how long a gradient may be.
        class_weights: how much an image of each class counts, ``(n_classes,)``; all alike where None.
        n_parts: in how many parts a batch is computed, one after another: so much less memory. Batch norm sees each
            part alone; all else stays the same.
        world_size: how many processes share a batch.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    runtime: Runtime
    recipe: Recipe
    class_weights: Tensor | None = None
    n_parts: int = 1
    world_size: int = 1

    def take(self, images: Tensor, targets: Tensor, *, seed: int, first: int = 0, n_all: int | None = None) -> Tensor:
        """Learn from one batch on the device; return the loss in nats, summed over these images.

        Args:
            images: ``(N, C, H, W)``, normalised.
            targets: class numbers ``(N,)``, or probabilities ``(N, n_classes)``.
            seed: what dropout follows from.
            first: where these images begin in the whole batch.
            n_all: images in the whole batch, of all processes; these alone where None.
        """
        n_all = len(images) if n_all is None else n_all
        loss_sum = torch.zeros((), device=images.device)
        # No part is of one image, which batch norm may not take, nor empty; and each process has as many, since batch
        # norm looks at those of all of them at once.
        n_parts = min(self.n_parts, max(1, n_all // max(self.world_size, 2)))
        bounds = [part * len(images) // n_parts for part in range(n_parts + 1)]
        for number, (start, stop) in enumerate(pairwise(bounds), start=1):
            # The same seed for each part: every image's dropout follows from its place in the whole batch.
            torch.manual_seed(seed)
            self._place_dropout(first + start, n_all)
            with self._averaging(is_last=number == n_parts):
                loss = self._loss(images[start:stop], targets[start:stop])
                # Gradients are averaged over the processes; the loss is a mean over the whole batch.
                (loss * (self.world_size / n_all)).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach()
        self._place_dropout(0, 0)
        if self.recipe.clip_norm:
            parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        with self.runtime.autocast():
            logits = self.network(images)
        # The loss in float32: in bfloat16 the logarithm of a sum would round away what there is to learn.
        smoothing = self.recipe.label_smoothing
        return F.cross_entropy(logits.float(), targets, self.class_weights, label_smoothing=smoothing, reduction="sum")

    def _averaging(self, *, is_last: bool) -> "nullcontext[None]":
        """Let processes wait for one another only after the last part."""
        if self.world_size > 1 and not is_last:
            return self.network.no_sync()  # type: ignore[no-any-return, operator]
        return nullcontext()

    def _place_dropout(self, first: int, n_all: int) -> None:
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.first, module.n_all = first, n_all
