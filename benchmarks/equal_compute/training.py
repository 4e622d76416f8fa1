"""Train one arm with one seed, and evaluate it on the images held out."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.training.learning.average import STEPS_BETWEEN, Average
from benchmarks.equal_compute.arm import Arm
from benchmarks.equal_compute.cost import image_size, n_steps, width
from benchmarks.equal_compute.images import Images, augmented, whole
from benchmarks.equal_compute.network import build, widened
from benchmarks.equal_compute.optimizers import Optimizer

# Images evaluated at a time.
N_AT_A_TIME = 512
# The learning rate does not fall below this share.
LEAST_FACTOR = 1e-4


@dataclass(frozen=True)
class Score:
    """The result of one arm with one seed.

    Attributes:
        loss: on the images held out, without label smoothing.
        top1: on them, in [0, 1].
        train_loss: of the last batch.
        epochs: passes over the training images.
        steps: training steps.
        seconds: that it took here.
    """

    loss: float
    top1: float
    train_loss: float
    epochs: float
    steps: int
    seconds: float


def train(arm: Arm, seed: int, images: Images) -> Score:
    """Train and evaluate."""
    began = time.monotonic()
    torch.manual_seed(seed)
    training, held_out = images.hold_out(arm.images, seed)
    device = training.labels.device
    n_per_epoch, n = len(training) // arm.batch_size, n_steps(arm, len(training))
    network = build(arm, width(arm, 0), training, image_size(arm, 0))
    optimizer, average, averaged_at = Optimizer(network, arm), _average(network, arm), 0.0
    randomness = np.random.default_rng(seed)
    order, loss = torch.empty(0), torch.empty(0)
    for step in range(n):
        progress, batch = step / n, step % n_per_epoch
        if batch == 0:
            order = torch.randperm(len(training), device=device)
        if step and width(arm, progress) != width(arm, (step - 1) / n):
            network = widened(network, arm, training)
            optimizer, average, averaged_at = Optimizer(network, arm), _average(network, arm), progress
        rows = order[batch * arm.batch_size : (batch + 1) * arm.batch_size]
        crops = augmented(training.pixels[rows], image_size(arm, progress), arm, randomness)
        loss = _loss(network, crops, training.labels[rows], arm, randomness)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(_lr_factor(arm, progress + 0.5 / n))
        if average and ((step + 1) % STEPS_BETWEEN == 0 or step == n - 1):
            average.update(network, averaged_at, now := (step + 1) / n)
            averaged_at = now
    top1, held_out_loss = evaluate(average.model if average else network, held_out, arm.sizes[-1][0])
    return Score(
        loss=held_out_loss,
        top1=top1,
        train_loss=loss.item(),
        epochs=n / n_per_epoch,
        steps=n,
        seconds=time.monotonic() - began,
    )


def _average(network: nn.Module, arm: Arm) -> Average | None:
    return Average(network, arm.ema) if arm.ema else None


def _loss(network: nn.Module, crops: Tensor, labels: Tensor, arm: Arm, randomness: np.random.Generator) -> Tensor:
    """Return the loss of a batch; with mixup, of crops that are blended in pairs."""
    share, others = 1.0, labels
    if arm.mixup:
        share = float(randomness.beta(arm.mixup, arm.mixup))
        share = max(share, 1 - share)
        pairs = torch.randperm(len(crops), device=crops.device)
        crops, others = crops.lerp(crops[pairs], 1 - share), labels[pairs]
    with torch.autocast(crops.device.type, torch.bfloat16, enabled=crops.device.type == "cuda"):
        logits = network(crops)
    loss = share * F.cross_entropy(logits.float(), labels, label_smoothing=arm.label_smoothing)
    if share < 1:
        loss = loss + (1 - share) * F.cross_entropy(logits.float(), others, label_smoothing=arm.label_smoothing)
    return loss


def _lr_factor(arm: Arm, progress: float) -> float:
    """Return what the learning rates are multiplied by at a progress in (0, 1)."""
    if progress < arm.warm_up:
        return progress / arm.warm_up
    fallen = (progress - arm.warm_up) / (1 - arm.warm_up)
    return max(LEAST_FACTOR, 0.5 * (1 + math.cos(math.pi * fallen)) if arm.cosine else 1 - fallen)


@torch.no_grad()
def evaluate(network: nn.Module, images: Images, size: int) -> tuple[float, float]:
    """Return top-1 and loss on whole images, in float32."""
    network.eval()
    chunks = torch.split(images.pixels, N_AT_A_TIME)
    logits = torch.cat([network(whole(chunk, size)) for chunk in chunks])
    top1 = (logits.argmax(1) == images.labels).float().mean().item()
    return top1, F.cross_entropy(logits, images.labels).item()
