import copy
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from alexnet import AlexNet, Architecture
from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import training_batches
from alexnet.data.batches.examples import Examples
from alexnet.errors import RunError
from alexnet.images.preprocessing import MEAN, STD
from alexnet.network.value.architecture import REFERENCE_LAYERS
from alexnet.training.choices.recipe import change
from alexnet.training.choices.recipes import MODERN
from alexnet.training.learning.average import Average
from alexnet.training.learning.loop import fit, fit_steps
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.reports import EpochReport
from alexnet.training.learning.state import Training
from alexnet.training.learning.step import Step
from alexnet.training.machine.runtime import detect
from alexnet.training.plan import Plan

MILD = Augmentation(area=(0.5, 1.0))
LAYERS = tuple(replace(layer, channels=layer.channels // 8) for layer in REFERENCE_LAYERS)
NET = Architecture(layers=LAYERS, hidden=(64,), n_classes=2, image_size=67)


def make_training(
    lr: float = 0.02, n_epochs: int = 3, device_precision: str = "auto", augmentation: Augmentation = MILD
) -> Training:
    """Bright against dark images: learned within a few steps."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 48)
    pixels = (rng.integers(0, 100, (48, 32, 32, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    data = Examples(pixels, np.arange(48), labels, names=tuple(f"{number}.png" for number in range(48)))
    recipe = replace(change(MODERN, batch_size=16, lr=lr), augmentation=augmentation)
    runtime = detect("cpu", device_precision)
    torch.manual_seed(0)
    model = AlexNet(NET)
    runtime.place(model)
    plan = Plan(recipe=recipe, architecture=NET, n_examples=48, n_epochs=n_epochs)
    optimizer = make_optimizer(model, recipe, runtime)
    colours = data.colours()
    classes = ("dark", "bright")
    step = Step(network=model, optimizer=optimizer, runtime=runtime, recipe=recipe)
    return Training(
        model=model, step=step, plan=plan, train=data, val=data, classes=classes, colours=colours, mean=MEAN, std=STD,
        runtime=runtime, seed=0, average=Average(model, recipe.ema) if recipe.ema else None,
    )  # fmt: skip


def test_it_learns_and_reports() -> None:
    reports = list(fit(make_training(n_epochs=10)))
    assert [report.epoch for report in reports] == list(range(1, 11))
    assert reports[-1].train_loss < reports[0].train_loss
    assert reports[-1].val_top1 > 0.9
    assert reports[-1].lr < reports[1].lr
    assert all(report.images_per_second > 0 and report.image_size == 67 for report in reports)


def test_steps_are_reported_in_between() -> None:
    reports = list(fit_steps(make_training(n_epochs=2)))
    assert [isinstance(report, EpochReport) for report in reports] == [False] * 3 + [True] + [False] * 3 + [True]
    assert [report.step for report in reports if not isinstance(report, EpochReport)] == [1, 2, 3, 1, 2, 3]
    assert reports[-2].progress == 1


EVERYTHING = Augmentation(crop="paper", colour_shift=0.1, trivial_augment=True, erasing=0.5, mixup=0.2, cutmix=1.0)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Compute with a number of threads: each has its own order of adding up."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def weights_without_a_stop(how: Augmentation, n_threads: int) -> dict[str, torch.Tensor]:
    training = make_training(augmentation=how)
    list(fit(training))
    return training.model.state_dict()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("n_steps", "how"), [(1, MILD), (3, MILD), (4, MILD), (5, MILD), (2, EVERYTHING)])
def test_stopped_anywhere_and_resumed_it_ends_the_same_to_the_bit(n_steps, how, n_threads) -> None:
    with threads(n_threads):
        expected = weights_without_a_stop(how, n_threads)
        first = make_training(augmentation=how)
        for number, _ in enumerate(fit_steps(first), start=1):
            if number == n_steps:
                break
        torch.rand(7)  # other code draws random numbers in between
        second = make_training(augmentation=how)
        second.model.load_state_dict(first.model.state_dict())
        second.average.model.load_state_dict(first.average.model.state_dict())
        second.step.optimizer.load_state_dict(first.step.optimizer.state_dict())
        second.position = copy.deepcopy(first.position)
        list(fit(second))
    for name, tensor in expected.items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_the_same_seed_gives_the_same_network() -> None:
    a, b = make_training(), make_training()
    assert [report.train_loss for report in fit(a)] == [report.train_loss for report in fit(b)]


def test_a_loss_that_is_nan_stops_with_the_step() -> None:
    """pytorch #40497."""
    training = make_training(lr=0.02)
    with torch.no_grad():
        training.model.fc6.linear.weight.fill_(math.inf)
    (batch,) = training_batches(training.train, batch_size=16, size=67, augmentation=MILD, seed=0, epoch=0, stop=1)
    with pytest.raises(RunError, match="step 1 of epoch 1, on '") as caught:
        list(fit(training))
    named = [int(number) for number in re.findall(r"'(\d+)\.png'", str(caught.value))]
    assert len(named) == 5
    assert "and 11 more" in str(caught.value)
    assert [training.train.labels[number] for number in named] == batch.labels[:5].tolist(), "the images of that batch"


def test_weight_decay_leaves_norms_and_biases_alone() -> None:
    training = make_training()
    groups = training.step.optimizer.param_groups
    decay = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decay == {each: 0 if each.ndim == 1 else MODERN.weight_decay for each in training.model.parameters()}


def test_fp32_can_be_asked_for() -> None:
    (report,) = fit(make_training(device_precision="fp32", n_epochs=1))
    assert report.epoch == 1


def test_logits_that_are_nan_stop_the_run_too() -> None:
    """Only the averaged weights are NaN here, so the training loss stays finite."""
    training = make_training()
    with torch.no_grad():
        training.eval_model.fc7.linear.weight.fill_(math.nan)
    with pytest.raises(RunError, match="validation logits are NaN or infinite after epoch 1; use a lower"):
        list(fit(training))
