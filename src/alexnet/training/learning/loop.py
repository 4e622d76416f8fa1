"""The training loop, a generator: the caller prints, saves and stops."""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches.augment import augment_batch
from alexnet.data.batches.batches import Batch, order_of, training_batches
from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.errors import RunError, listed
from alexnet.evaluation.scores.metrics import Scores, score
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.probability import Floats
from alexnet.training.learning.average import STEPS_BETWEEN
from alexnet.training.learning.monitoring import epoch_warnings, should_stop_early, time_limit_warning
from alexnet.training.learning.optimizer import set_lr
from alexnet.training.learning.reports import EpochReport, Report, StepReport, TrainingWarning
from alexnet.training.learning.state import Position, Training
from alexnet.training.plan import PlannedEpoch

EVALUATION_BATCH = 128
# Streams of random numbers for augmentation on the device and for dropout; the batches have their own.
_AUGMENTATION, _DROPOUT = 3, 4


def fit(training: Training) -> Iterator[EpochReport]:
    """Train from ``training.position`` to the end of the plan, yielding a report after each epoch.

    Raises:
        RunError: the loss is nan or infinite.
    """
    for report in fit_steps(training):
        if isinstance(report, EpochReport):
            yield report


def fit_steps(training: Training) -> Iterator[Report]:
    """Train like ``fit``, but also yield a report after each step, and warnings.

    At each report ``training`` is consistent and can be saved. Ends early if ``training.stop`` asks for it.
    """
    with training.runtime.threads():
        yield from _fit_epochs(training)


def _fit_epochs(training: Training) -> Iterator[Report]:
    # A run that was stopped after its very last step has progress 1, but an epoch to finish.
    while (position := training.position).progress < 1 or position.leg is not None:
        if position.leg is None:
            if should_stop_early(training.history, training.plan.architecture.image_size, training.patience):
                yield TrainingWarning(f"no better loss on val for {training.patience} epochs: training ends here")
                return
            # The clock of the main process decides for all.
            position.leg = training.group.broadcast(training.plan.next_epoch(position.progress, position.epoch))
        yield from _train_steps(training, position.leg)
        if training.stop.agreed:
            return
        ended = time.perf_counter()
        report = _finish_epoch(training, position.leg)
        yield report
        yield from map(TrainingWarning, epoch_warnings(training.history, len(training.classes)))
        # Validation, and what the caller did with the report, such as saving.
        training.plan.timing.overhead = time.perf_counter() - ended
    yield from map(TrainingWarning, filter(None, [time_limit_warning(training.history, len(training.train))]))


def _train_steps(training: Training, planned: PlannedEpoch) -> Iterator[StepReport]:
    """Take the remaining steps of an epoch."""
    position, plan = training.position, training.plan
    training.step.network.train()
    first = position.step
    began = time.perf_counter()
    for batch in remaining_batches(training, planned):
        # At the middle of the step: at its start, the first learning rate of a warm-up would be 0.
        progress = planned.progress(position.step + 0.5)
        position.lr = plan.recipe.lr_at(progress)
        set_lr(training.step.optimizer, plan.recipe, progress)
        loss_part = train_step(training, batch, progress)
        # One all_reduce per step: the loss, whether the deadline has passed, and whether to stop.
        is_late = training.group.is_main and plan.is_late()
        loss_sum, n_late, n_stop = training.group.all_reduce(
            loss_part.item(), is_late, training.stop.signal is not None
        )
        loss = loss_sum / batch.n_all
        if not math.isfinite(loss):
            raise _loss_not_finite(training, loss)
        now = time.perf_counter()
        position.step += 1
        position.progress = planned.progress(position.step)
        position.loss_sum += loss_sum
        position.n_seen += batch.n_all
        position.seconds += now - began
        # The first step is slower: it also selects algorithms, or compiles.
        if position.step > first + 1 or not plan.timing.seconds:
            plan.timing.update(planned.size, (now - began) / batch.n_all)
        if position.step % STEPS_BETWEEN == 0 or position.step == planned.n_steps or n_late:
            _update_average(training)
        training.stop.agreed = n_stop > 0
        yield StepReport(
            epoch=position.epoch + 1,
            step=position.step,
            n_steps=planned.n_steps,
            loss=loss,
            images_per_second=position.n_seen / position.seconds,
            progress=position.progress,
            seconds_left=plan.seconds_left(planned, position.step, position.epoch),
        )
        began = time.perf_counter()
        if n_late or n_stop:
            break


def remaining_batches(training: Training, planned: PlannedEpoch) -> Iterator[Batch]:
    """Yield the batches of an epoch from ``training.position`` on."""
    return training_batches(
        training.train,
        batch_size=training.plan.recipe.batch_size,
        size=planned.size,
        augmentation=training.plan.recipe.augmentation,
        seed=training.seed,
        epoch=training.position.epoch,
        start=training.position.step,
        stop=planned.n_steps,
        shard=training.group.shard,
        balanced=training.balanced,
        on_device=training.runtime.crops_on_device,
    )


def train_step(training: Training, batch: Batch, progress: float) -> Tensor:
    """Take one step at a progress; return the loss in nats, summed over this process's part of the batch."""
    images, targets = _augment(training, batch, progress)
    return training.step.take(
        images, targets, seed=training.step_seed(_DROPOUT), first=batch.own.start, n_all=batch.n_all
    )


def _augment(training: Training, batch: Batch, progress: float) -> tuple[Tensor, Tensor]:
    """Move a batch to the device as bytes, then augment and normalise it there."""
    moved = training.runtime.move_batch(batch)
    with training.runtime.autocast():
        return augment_batch(
            moved,
            training.plan.recipe.augmentation_at(progress),
            seed=training.step_seed(_AUGMENTATION),
            n_classes=len(training.classes),
            colours=training.colours,
            mean=training.mean,
            std=training.std,
            mean_image=training.mean_image,
        )


def _update_average(training: Training) -> None:
    position = training.position
    if training.average is not None and position.progress > position.averaged:
        training.average.update(training.model, position.averaged, position.progress)
        position.averaged = position.progress


def _loss_not_finite(training: Training, loss: float) -> RunError:
    """Return the error for a loss that is not finite: it names the step and the images of the batch."""
    position, batch_size = training.position, training.plan.recipe.batch_size
    order = order_of(training.train, training.seed, position.epoch, balanced=training.balanced)
    names = [training.train.names[i] for i in order[position.step * batch_size :][:batch_size]]
    return RunError(
        f"the loss is {loss} at step {position.step + 1} of epoch {position.epoch + 1}, on {listed(names)}; "
        f"check these images, or use a lower learning rate than {training.plan.recipe.lr:g}"
    )


def _finish_epoch(training: Training, planned: PlannedEpoch) -> EpochReport:
    """Validate, and move the position to the start of the next epoch."""
    position, plan = training.position, training.plan
    # Only the time limit ends an epoch before its last step, and then it is the last epoch.
    progress = 1.0 if position.step < planned.n_steps else planned.stop
    progress = training.group.broadcast(1.0 if plan.is_late() else progress)
    # The last validation is at the final size, even if the time ran out before training reached it.
    size = plan.architecture.image_size if progress == 1 else planned.size
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
    """Evaluate the network that will be saved on ``val`` at an image size.

    Raises:
        RunError: the logits are nan or infinite.
    """
    return score(val_logits(training, size), training.val.labels, training.classes)


def val_logits(training: Training, size: int) -> Floats:
    """Return the logits of the network that will be saved for ``val``, ``(N, n_classes)``, at an image size.

    Each image is computed by one process; all return all.

    Raises:
        RunError: the logits are nan or infinite.
    """
    model, runtime = training.eval_model, training.runtime
    model.eval()
    logits = [np.empty((0, len(training.classes)), dtype=np.float32)]
    part = training.val.part(training.group.shard)
    with torch.inference_mode(), runtime.autocast():
        for pixels in evaluation_batches(part, batch_size=EVALUATION_BATCH, size=size):
            images = normalise(runtime.move(to_tensor(pixels)), training.mean, training.std)
            logits.append(model(images).float().cpu().numpy())
    all_logits = np.concatenate(training.group.all_gather(np.concatenate(logits)))
    if not np.isfinite(all_logits).all():
        raise RunError(
            f"validation logits are NaN or infinite after epoch {training.position.epoch + 1}; "
            f"use a lower learning rate than {training.plan.recipe.lr:g}"
        )
    return all_logits
