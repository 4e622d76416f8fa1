"""One training step: forward, loss, backward, update; with gradient accumulation and several processes."""

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
    """Trains on one batch.

    Attributes:
        network: the model; possibly compiled, or wrapped for several processes.
        optimizer: updates the weights.
        runtime: device and precision.
        recipe: gives label smoothing and gradient clipping.
        class_weights: weight of each class in the loss, ``(n_classes,)``; None for equal weights.
        n_parts: number of parts in which a batch is computed, to save memory. Batch norm sees each part alone;
            everything else stays the same.
        world_size: number of processes that share a batch.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    runtime: Runtime
    recipe: Recipe
    class_weights: Tensor | None = None
    n_parts: int = 1
    world_size: int = 1

    def take(self, images: Tensor, targets: Tensor, *, seed: int, first: int = 0, n_all: int | None = None) -> Tensor:
        """Take one step on images on the device; return the loss in nats, summed over these images.

        Args:
            images: ``(N, C, H, W)``, normalised.
            targets: class numbers ``(N,)``, or probabilities ``(N, n_classes)``.
            seed: seed of dropout.
            first: index of the first of these images in the whole batch.
            n_all: number of images in the whole batch, over all processes; None if these are all.
        """
        n_all = len(images) if n_all is None else n_all
        loss_sum = torch.zeros((), device=images.device)
        # Each part has at least two images over all processes, since batch norm cannot take fewer. All processes have
        # the same number of parts, since batch norm is synchronised in each.
        n_parts = min(self.n_parts, max(1, n_all // max(self.world_size, 2)))
        bounds = [part * len(images) // n_parts for part in range(n_parts + 1)]
        for number, (start, stop) in enumerate(pairwise(bounds), start=1):
            # The same seed for each part: dropout depends on an image's index in the whole batch.
            torch.manual_seed(seed)
            self._set_dropout_rows(first + start, n_all)
            with self._gradient_sync(is_last=number == n_parts):
                loss = self._loss(images[start:stop], targets[start:stop])
                # DDP averages gradients over the processes, but the loss is a mean over the whole batch.
                (loss * (self.world_size / n_all)).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach()
        self._set_dropout_rows(0, 0)
        if self.recipe.clip_norm:
            parameters = [each for group in self.optimizer.param_groups for each in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        with self.runtime.autocast():
            logits = self.network(images)
        # In float32: bfloat16 would round the loss too coarsely.
        smoothing = self.recipe.label_smoothing
        return F.cross_entropy(logits.float(), targets, self.class_weights, label_smoothing=smoothing, reduction="sum")

    def _gradient_sync(self, *, is_last: bool) -> "nullcontext[None]":
        """Synchronise gradients between processes only in the last part."""
        if self.world_size > 1 and not is_last:
            return self.network.no_sync()  # type: ignore[no-any-return, operator]
        return nullcontext()

    def _set_dropout_rows(self, first: int, n_all: int) -> None:
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.first, module.n_all = first, n_all
