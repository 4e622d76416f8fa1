"""The training loop, as a generator: the caller prints, saves and stops."""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches.augment import augment_batch
from alexnet.data.batches.batches import Batch, evaluation_batches, order_of, training_batches
from alexnet.errors import RunError, listed
from alexnet.evaluation.metrics import Scores, score
from alexnet.images.tensors import normalise, to_tensor
from alexnet.training.learning.average import STEPS_BETWEEN
from alexnet.training.learning.optimizer import set_lr
from alexnet.training.learning.reports import EpochReport, Report, StepReport, TrainingWarning
from alexnet.training.learning.state import Position, Training
from alexnet.training.learning.watch import is_out_of_patience, too_short, warnings
from alexnet.training.plan import Leg

EVALUATION_BATCH = 128
# Beside those of the batches: what is done to images on the device, and dropout, draw from streams of their own.
_AUGMENTATION, _DROPOUT = 3, 4


def fit(training: Training) -> Iterator[EpochReport]:
    """Train to the end of the plan, from wherever ``training.position`` stands, an epoch at a time.

    Raises:
        RunError: the loss is no longer a number.
    """
    for report in fit_steps(training):
        if isinstance(report, EpochReport):
            yield report


def fit_steps(training: Training) -> Iterator[Report]:
    """Train like ``fit``, reporting each step too, and what deserves a warning.

    At each report ``training`` is whole and can be saved. Ends early where ``training.stop`` asks for it.
    """
    # A run that was stopped after its very last step has all progress, but an epoch still to be finished.
    while (position := training.position).progress < 1 or position.leg is not None:
        if position.leg is None:
            if is_out_of_patience(training.history, training.plan.architecture.image_size, training.patience):
                yield TrainingWarning(f"no better on val for {training.patience} epochs: training ends here")
                return
            # Of the clock, the leading process's is the one that counts.
            position.leg = training.group.broadcast(training.plan.next_leg(position.progress, position.epoch))
        yield from _steps(training, position.leg)
        if training.stop.agreed:
            return
        ended = time.perf_counter()
        report = _finish_epoch(training, position.leg)
        yield report
        yield from map(TrainingWarning, warnings(training.history, len(training.classes)))
        # Validation, and what the caller did with the report: saving takes its time too.
        training.plan.pace.overhead = time.perf_counter() - ended
    yield from map(TrainingWarning, filter(None, [too_short(training.history, len(training.train))]))


def _steps(training: Training, leg: Leg) -> Iterator[StepReport]:
    """Take the steps of an epoch that are left."""
    position, plan = training.position, training.plan
    training.step.network.train()
    first = position.step
    began = time.perf_counter()
    for batch in batches(training, leg):
        # At the middle of the step: at its beginning, the first rate of a warm-up would be 0.
        position.lr = plan.recipe.lr_at(leg.progress(position.step + 0.5))
        set_lr(training.step.optimizer, position.lr)
        own = learn(training, batch)
        # One exchange a step: what all have lost, and whether the clock or somebody says that this was the last one.
        is_late = training.group.is_main and plan.is_late()
        loss_sum, n_late, n_stop = training.group.all_reduce(own.item(), is_late, training.stop.signal is not None)
        loss = loss_sum / batch.n_all
        if not math.isfinite(loss):
            raise _loss_is_nan(training, loss)
        now = time.perf_counter()
        position.step += 1
        position.progress = leg.progress(position.step)
        position.loss_sum += loss_sum
        position.n_seen += batch.n_all
        position.seconds += now - began
        if position.step > first + 1 or not plan.pace.seconds:  # the first one also chooses algorithms, or compiles
            plan.pace.note(leg.size, (now - began) / batch.n_all)
        if position.step % STEPS_BETWEEN == 0 or position.step == leg.n_steps or n_late:
            _average(training)
        training.stop.agreed = n_stop > 0
        yield StepReport(
            epoch=position.epoch + 1,
            step=position.step,
            n_steps=leg.n_steps,
            loss=loss,
            images_per_second=position.n_seen / position.seconds,
            progress=position.progress,
            seconds_left=plan.seconds_left(leg, position.step, position.epoch),
        )
        began = time.perf_counter()
        if n_late or n_stop:
            break


def batches(training: Training, leg: Leg) -> Iterator[Batch]:
    """Yield the batches of an epoch that are left, from where ``training.position`` stands."""
    return training_batches(
        training.train,
        batch_size=training.plan.recipe.batch_size,
        size=leg.size,
        augmentation=training.plan.recipe.augmentation,
        seed=training.seed,
        epoch=training.position.epoch,
        start=training.position.step,
        stop=leg.n_steps,
        shard=training.group.shard,
        balanced=training.balanced,
        on_device=training.runtime.crops,
    )


def learn(training: Training, batch: Batch) -> Tensor:
    """Take one step; return the loss in nats, summed over this process's part of the batch."""
    images, targets = _augment(training, batch)
    return training.step.take(
        images, targets, seed=training.step_seed(_DROPOUT), first=batch.own.start, n_all=batch.n_all
    )


def _augment(training: Training, batch: Batch) -> tuple[Tensor, Tensor]:
    """Move a batch to the device as bytes, and there do to it what the recipe says beyond cropping."""
    moved = training.runtime.move_batch(batch)
    with training.runtime.autocast():
        return augment_batch(
            moved,
            training.plan.recipe.augmentation,
            seed=training.step_seed(_AUGMENTATION),
            n_classes=len(training.classes),
            colours=training.colours,
            mean=training.mean,
            std=training.std,
        )


def _average(training: Training) -> None:
    position = training.position
    if training.average is not None and position.progress > position.averaged:
        training.average.update(training.model, position.averaged, position.progress)
        position.averaged = position.progress


def _loss_is_nan(training: Training, loss: float) -> RunError:
    """Return what to say of a loss that is no number: the step, and the images it was computed from."""
    position, batch_size = training.position, training.plan.recipe.batch_size
    order = order_of(training.train, training.seed, position.epoch, balanced=training.balanced)
    names = [training.train.names[i] for i in order[position.step * batch_size :][:batch_size]]
    return RunError(
        f"the loss is {loss} at step {position.step + 1} of epoch {position.epoch + 1}, on {listed(names)}; "
        f"look at these, or try a lower learning rate than {training.plan.recipe.lr:g}"
    )


def _finish_epoch(training: Training, leg: Leg) -> EpochReport:
    """Validate, and put the position at the beginning of the next epoch."""
    position, plan = training.position, training.plan
    # An epoch that ended before its last step was cut short by the clock, and is the last one.
    progress = 1.0 if position.step < leg.n_steps else leg.stop
    progress = training.group.broadcast(1.0 if plan.is_late() else progress)
    # The last word is said at the size of use, even where time ran out before training came to it.
    size = plan.architecture.image_size if progress == 1 else leg.size
    scores = validate(training, size)
    report = EpochReport(
        epoch=position.epoch + 1,
        train_loss=position.loss_sum / position.n_seen,
        val_loss=scores.loss,
        val_top1=scores.top1,
        lr=position.lr,
        seconds=position.seconds,
        images_per_second=position.n_seen / position.seconds,
        image_size=size,
    )
    training.position = Position(epoch=position.epoch + 1, progress=progress, averaged=position.averaged)
    training.history.append(report)
    return report


def validate(training: Training, size: int) -> Scores:
    """Score the network that is kept on ``val`` at an image size. Every image is judged once, by one process.

    Raises:
        RunError: what it says is no longer a number.
    """
    model, runtime = training.kept, training.runtime
    model.eval()
    logits = [np.empty((0, len(training.classes)), dtype=np.float32)]
    part = training.val.part(training.group.shard)
    with torch.inference_mode(), runtime.autocast():
        for pixels in evaluation_batches(part, batch_size=EVALUATION_BATCH, size=size):
            images = normalise(runtime.move(to_tensor(pixels)), training.mean, training.std)
            logits.append(model(images).float().cpu().numpy())
    everybodys = np.concatenate(training.group.all_gather(np.concatenate(logits)))
    if not np.isfinite(everybodys).all():
        raise RunError(
            f"what the network says of val is no longer a number after epoch {training.position.epoch + 1}; "
            f"try a lower learning rate than {training.plan.recipe.lr:g}"
        )
    return score(everybodys, training.val.labels, training.classes)
