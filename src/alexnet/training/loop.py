"""The training loop, as a generator: the caller prints, saves and stops."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.data.augment import vary
from alexnet.data.batches import Examples, evaluation_batches, order_of, training_batches
from alexnet.data.source import listed
from alexnet.data.tensors import normalise, to_tensor
from alexnet.errors import RunError
from alexnet.evaluation.metrics import Evaluation, judge
from alexnet.training.plan import Leg, Plan
from alexnet.training.recipe import Recipe
from alexnet.training.runtime import Runtime

EVALUATION_BATCH = 128
# Beside those of the batches: what is done to pictures on the device, and dropout, draw from streams of their own.
_VARIATION, _DROPOUT = 3, 4


@dataclass
class Position:
    """How far training has come; with the weights and the momentum, all that a checkpoint needs.

    Attributes:
        epoch: epochs done.
        step: steps done in the epoch that has begun.
        leg: what the plan says of the epoch that has begun.
        progress: share of training done, in [0, 1].
        loss_sum: loss of the epoch so far, summed over pictures.
        n_seen: pictures of the epoch so far.
        seconds: time of the epoch so far.
    """

    epoch: int = 0
    step: int = 0
    leg: Leg | None = None
    progress: float = 0.0
    loss_sum: float = 0.0
    n_seen: int = 0
    seconds: float = 0.0


@dataclass
class Training:
    """A network being trained.

    Attributes:
        model: the network.
        optimizer: what changes its weights.
        plan: what is left to do.
        train: pictures to learn from.
        val: pictures to judge by.
        classes: class names, in the order of the logits.
        colours: principal components of the colours in ``train``, where the recipe shifts colours along them.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].
        runtime: where it runs.
        seed: what all random numbers follow from.
        position: how far it has come.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    plan: Plan
    train: Examples
    val: Examples
    classes: tuple[str, ...]
    colours: Tensor | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    runtime: Runtime
    seed: int
    position: Position


@dataclass(frozen=True)
class StepReport:
    """One step done."""

    epoch: int
    step: int
    n_steps: int
    loss: float
    images_per_second: float
    progress: float
    seconds_left: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch done: a line of ``metrics.jsonl``.

    Attributes:
        epoch: its number, from 1.
        train_loss: mean loss while training, in nats, label smoothing and augmentation included.
        val_loss: mean cross-entropy on ``val``, in nats.
        val_top1: share of ``val`` recognised, in [0, 1].
        lr: learning rate at its end.
        seconds: time spent training, validation not included.
        images_per_second: training pictures a second.
        image_size: side of its pictures, in pixels.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_top1: float
    lr: float
    seconds: float
    images_per_second: float
    image_size: int

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3d}  {self.image_size} px  loss {self.train_loss:.3f}  "
            f"val loss {self.val_loss:.3f}  val top-1 {self.val_top1:.3f}  {self.images_per_second:.0f} pictures/s"
        )


def fit(training: Training) -> Iterator[EpochReport]:
    """Train to the end of the plan, from wherever ``training.position`` stands, an epoch at a time.

    Raises:
        RunError: the loss is no longer a number.
    """
    for report in fit_steps(training):
        if isinstance(report, EpochReport):
            yield report


def fit_steps(training: Training) -> Iterator[StepReport | EpochReport]:
    """Train like ``fit``, reporting each step too. At each report ``training`` is whole and can be saved."""
    # A run that was stopped after its very last step has all progress, but an epoch still to be finished.
    while (position := training.position).progress < 1 or position.leg is not None:
        if position.leg is None:
            position.leg = training.plan.next_leg(position.progress, position.epoch)
        yield from _steps(training, position.leg)
        ended = time.perf_counter()
        yield _finish_epoch(training, position.leg)
        # Validation, and what the caller did with the report: saving takes its time too.
        training.plan.pace.overhead = time.perf_counter() - ended


def _steps(training: Training, leg: Leg) -> Iterator[StepReport]:
    position, plan, optimizer = training.position, training.plan, training.optimizer
    training.model.train()
    batches = training_batches(
        training.train,
        batch_size=plan.recipe.batch_size,
        size=leg.size,
        augmentation=plan.recipe.augmentation,
        seed=training.seed,
        epoch=position.epoch,
        start=position.step,
        stop=leg.n_steps,
    )
    began = time.perf_counter()
    for pictures, labels in batches:
        lr = plan.recipe.lr_at(leg.progress(position.step))
        for group in optimizer.param_groups:
            group["lr"] = lr
        varied, targets = _vary(training, pictures, labels)
        _seed_step(training.seed, position, _DROPOUT)
        smoothing = plan.recipe.label_smoothing
        step_loss = take_step(training.model, optimizer, training.runtime, varied, targets, smoothing)
        if not math.isfinite(step_loss):
            raise RunError(
                f"the loss is {step_loss} at step {position.step + 1} of epoch {position.epoch + 1}, on "
                f"{listed(_names(training))}; look at these, or try a lower learning rate than {plan.recipe.lr:g}"
            )
        now = time.perf_counter()
        position.step += 1
        position.progress = leg.progress(position.step)
        position.loss_sum += step_loss * len(labels)
        position.n_seen += len(labels)
        position.seconds += now - began
        plan.pace.note(leg.size, (now - began) / len(labels))
        yield StepReport(
            epoch=position.epoch + 1,
            step=position.step,
            n_steps=leg.n_steps,
            loss=step_loss,
            images_per_second=position.n_seen / position.seconds,
            progress=position.progress,
            seconds_left=plan.seconds_left(leg, position.step, position.epoch),
        )
        began = time.perf_counter()
        if plan.is_late():
            break


def _names(training: Training) -> list[str]:
    """Return the paths of the pictures of the step at hand."""
    position, batch_size = training.position, training.plan.recipe.batch_size
    order = order_of(training.train, training.seed, position.epoch)
    return [training.train.names[i] for i in order[position.step * batch_size :][:batch_size]]


def _vary(training: Training, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Move a batch to the device as bytes, and there do to it what the recipe says beyond cropping."""
    runtime = training.runtime
    _seed_step(training.seed, training.position, _VARIATION)
    with runtime.autocast():
        return vary(
            runtime.move(pictures),
            runtime.move(labels),
            training.plan.recipe.augmentation,
            n_classes=len(training.classes),
            colours=training.colours,
            mean=training.mean,
            std=training.std,
        )


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    runtime: Runtime,
    pictures: Tensor,
    targets: Tensor,
    label_smoothing: float,
) -> float:
    """Learn from one batch on the device; return its mean loss in nats.

    Args:
        model: the network.
        optimizer: what changes its weights.
        runtime: where it runs.
        pictures: ``(N, C, H, W)``, normalised.
        targets: class numbers ``(N,)``, or probabilities ``(N, n_classes)``.
        label_smoothing: share of each target spread over all classes.
    """
    with runtime.autocast():
        logits = model(pictures)
    # The loss in float32: in bfloat16 the logarithm of a sum would round away what there is to learn.
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _finish_epoch(training: Training, leg: Leg) -> EpochReport:
    """Validate, and put the position at the beginning of the next epoch."""
    position, plan = training.position, training.plan
    progress = 1.0 if plan.is_late() else leg.stop
    # The last word is said at the size of use, even where time ran out before training came to it.
    size = plan.architecture.image_size if progress == 1 else leg.size
    scores = validate(training, size)
    report = EpochReport(
        epoch=position.epoch + 1,
        train_loss=position.loss_sum / position.n_seen,
        val_loss=scores.loss,
        val_top1=scores.top1,
        lr=training.optimizer.param_groups[0]["lr"],
        seconds=position.seconds,
        images_per_second=position.n_seen / position.seconds,
        image_size=leg.size,
    )
    training.position = Position(epoch=position.epoch + 1, progress=progress)
    return report


def validate(training: Training, size: int) -> Evaluation:
    """Score the network on ``val`` at a picture size."""
    training.model.eval()
    runtime = training.runtime
    logits = []
    with torch.inference_mode(), runtime.autocast():
        for pixels in evaluation_batches(training.val, batch_size=EVALUATION_BATCH, size=size):
            pictures = normalise(runtime.move(to_tensor(pixels)), training.mean, training.std)
            logits.append(training.model(pictures).float().cpu().numpy())
    return judge(np.concatenate(logits), training.val.labels, training.classes)


def make_optimizer(model: nn.Module, recipe: Recipe, runtime: Runtime) -> torch.optim.SGD:
    """Return SGD with Nesterov momentum; weight decay acts on weights, not on norms or biases."""
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return torch.optim.SGD(
        [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        # One pass over the weights instead of five.
        fused=runtime.device.type in ("cpu", "cuda"),
    )


def _seed_step(seed: int, position: Position, stream: int) -> None:
    """Make torch's random numbers follow from (seed, epoch, step): a resumed run draws what an unbroken one would."""
    torch.manual_seed(int(np.random.default_rng((seed, position.epoch, position.step, stream)).integers(2**63)))
