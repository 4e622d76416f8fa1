"""One run: an arm with a seed, trained and measured."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alexnet.data.batches.examples import Examples, examples
from alexnet.errors import RunError
from alexnet.evaluation.scores.metrics import score
from alexnet.network.module.initialisation import initialise
from alexnet.network.module.model import AlexNet
from alexnet.network.value.layers import Activation
from alexnet.reproduction.plan.value import Arm
from alexnet.reproduction.running import measures
from alexnet.reproduction.running.images import subset
from alexnet.reproduction.running.results import OutOfTimeError, machine
from alexnet.training.assembly import assemble, init_runtime
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit, val_logits
from alexnet.training.learning.state import Training

Numbers = dict[str, float]
# From the seed of a network to that of the next that is averaged with it; no experiment has as many seeds.
SEED_STEP = 1000


def run_arm(arm: Arm, seed: int, folder: Path | None, deadline: float | None = None) -> dict[str, Any]:
    """Train one arm with one seed, and return what is stored of it.

    A run whose loss is nan or infinite has failed: it says so, and has no figures.

    Args:
        arm: the arm.
        seed: draws the images, the weights and the batches.
        folder: where data lies.
        deadline: when training must end, on the clock of ``time.monotonic``.

    Raises:
        OutOfTimeError: the deadline has passed.
    """
    began = time.monotonic()
    trainings: list[Training] = []
    curve: list[Numbers] = []
    found: Numbers = {}
    failed: dict[str, str] = {}
    for number in range(arm.n_networks):
        training, test = prepare(arm, seed, folder, seed + SEED_STEP * number)
        trainings.append(training)
        if "speed" not in arm.measures:
            try:
                own = train(training, arm, deadline)
            except OutOfTimeError:
                raise
            except RunError as error:
                failed = {"failed": str(error)}
                break
            curve = curve or own  # that of the first network
    first = trainings[0]
    run: dict[str, Any] = {"machine": machine(), "settings": arm.to_json(), "precision": first.runtime.precision}
    run |= {"threads": torch.get_num_threads(), "n_train": len(first.train), "n_test": len(test)}
    run |= {"parameters": first.plan.architecture.n_parameters, "multiply_adds": first.plan.architecture.n_mult_adds}
    if not failed:
        found = measures.speed(first) if "speed" in arm.measures else figures(trainings, test, arm)
    if "kernels" in arm.measures and not failed:
        assert isinstance(first.model, AlexNet)
        run["kernels"] = measures.kernels_png(first.model)
    run |= {"curve": curve, "figures": {name: round(value, 6) for name, value in found.items()}} | failed
    return run | {"seconds": round(time.monotonic() - began, 1)}


def prepare(arm: Arm, seed: int, folder: Path | None, own_seed: int) -> tuple[Training, Examples]:
    """Return a training that is ready to run, and the images to test with; ``own_seed`` draws weights and batches."""
    settings = Settings(architecture=json.dumps(arm.network.to_json()), seed=own_seed, **arm.training)
    runtime, group = init_runtime(settings)
    if runtime.device.type == "cpu":  # not measured: each run has the same
        runtime = replace(runtime, n_threads=torch.get_num_threads())
    source, store = subset(arm.data, folder, seed)
    began = time.monotonic() if settings.time_limit else None
    training = assemble(source, store, settings, runtime, group=group, began=began)
    if arm.milestones is not None:
        training.plan.recipe = replace(training.plan.recipe, milestones=arm.milestones)
    if arm.weights != "recipe":
        torch.manual_seed(own_seed)
        initialise(training.model, "torch" if arm.weights == "he" else arm.network.initialisation)
    if arm.weights == "he":
        draw_he(training.model, arm.network.activation)
    return training, examples(store, source, "test", source.classes, settings.n_channels)


def draw_he(model: nn.Module, activation: Activation) -> None:
    """Draw the weights of all layers by fan-in and the gain of the activation, with biases of zero.

    Norms stay as they are. Torch knows no gain of a GELU or a SiLU, which are near that of a ReLU.

    Source: He and others, 2015, "Delving deep into rectifiers".
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if activation == "tanh" else "relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def train(training: Training, arm: Arm, deadline: float | None) -> list[Numbers]:
    """Train to the end, or to the error at which the arm stops; return the curve, a point an epoch."""
    curve: list[Numbers] = []
    for report in fit(training):
        point = {"epoch": report.epoch, "loss": report.train_loss, "lr": report.lr, "seconds": report.seconds}
        point |= {"val_loss": report.val_loss, "val_error": 1 - report.val_top1}
        if "curve" in arm.measures:
            point |= errors(training, training.train, "train", centre=arm.centre)
        curve.append({name: round(value, 6) for name, value in point.items()})
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTimeError(f"the time is over after epoch {report.epoch}")
        if arm.stop_below is not None and point["train_error"] < arm.stop_below:
            break
    return curve


def figures(trainings: list[Training], test: Examples, arm: Arm) -> Numbers:
    """Return the final figures of trained networks; those of a single network are the first one's."""
    first = trainings[0]
    found = errors(first, first.train, "train", centre=arm.centre)
    found |= errors(first, first.val, "val", centre=arm.centre)
    found |= errors(first, test, "test", centre=arm.centre)
    found["gap"] = found["test_error"] - found["train_error"]
    found |= measures.norm_spread(first, test)
    if "views" in arm.measures:
        found |= measures.views(trainings, test)
    if "kernels" in arm.measures:
        found |= measures.kernels(first)
    if "neighbours" in arm.measures:
        found |= measures.neighbours(first, test)
    return found


def errors(training: Training, data: Examples, name: str, *, centre: bool) -> Numbers:
    """Return error and loss on some images, in evaluation mode and without augmentation."""
    if centre:
        logits = measures.centre_logits(training, data)
    else:
        logits = val_logits(replace(training, val=data), training.plan.architecture.image_size)
    scores = score(logits, data.labels, training.classes)
    return {f"{name}_error": 1 - scores.top1, f"{name}_loss": scores.loss}
