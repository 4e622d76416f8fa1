"""What is said before a training: what will be trained, on which images, and how."""

import time

import numpy as np

from alexnet.commands.terminal import display
from alexnet.data.check import check_prepared
from alexnet.data.sources.open import as_argument
from alexnet.network.value.architecture import Architecture
from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.monitoring import few_images_warning
from alexnet.training.learning.state import Training
from alexnet.training.session import Session


def introduce(session: Session) -> None:
    """Print what will be trained, on which images, and into which run folder."""
    source, training = session.source, session.training
    display.warn(source.warnings + session.store.warnings)
    display.warn_of_skipped(session.store.skipped)
    # The cheap part of alexnet check: it needs only what preparing has computed.
    findings = check_prepared(source, session.store)
    display.warn(finding.message for finding in findings[: display.MOST_NAMED])
    if len(findings) > display.MOST_NAMED:
        display.say(f"and {len(findings) - display.MOST_NAMED} more; see: alexnet check {as_argument(source)}")
    counts = np.bincount(training.train.labels, minlength=len(training.classes)).tolist()
    display.warn(filter(None, [few_images_warning(counts, training.classes)]))
    plan, runtime, group = training.plan, training.runtime, training.group
    n_test = len(source.in_split("test"))
    display.say(
        f"{len(training.train)} train, {len(training.val)} val and {n_test} test images of "
        f"{len(source.classes)} classes"
    )
    if training.note:
        display.say(training.note)
    machine = f"{runtime.precision} on {runtime.device}"
    if runtime.n_threads is not None:
        machine += f", {runtime.n_threads} {'thread' if runtime.n_threads == 1 else 'threads'}"
    if group.world_size > 1:
        machine += f", {group.world_size} processes"
    display.say(
        f"{plan.architecture.variant} at {plan.architecture.image_size} px, {expected_epochs(training)}, "
        f"batch {plan.recipe.batch_size}, {machine}; run folder {session.run.folder}"
    )
    display.say(describe_recipe(plan.recipe, plan.architecture))
    if training.loaded:
        display.say(f"weights of {session.settings.init}: {training.loaded}")
    if training.frozen:
        display.say(f"frozen: {', '.join(training.frozen)}")
    position = training.position
    if position.epoch or position.step:
        display.say(f"resumed in epoch {position.epoch + 1}, after {position.step} of its steps")


def expected_epochs(training: Training) -> str:
    """Return the number of epochs in words; with a time limit, the number that fits at the speed measured so far."""
    plan, position = training.plan, training.position
    n = plan.n_epochs
    if plan.deadline is not None:
        fitting = position.epoch + plan.epochs_that_fit(plan.deadline - time.monotonic(), position.progress)
        if fitting < 1:
            return "less than one epoch within the time limit"
        n = min(n, round(fitting))
    epochs = f"{n} {'epoch' if n == 1 else 'epochs'}"
    return epochs if plan.deadline is None else f"about {epochs} within the time limit"


def describe_recipe(recipe: Recipe, net: Architecture) -> str:
    """Return how a network is trained, in one short line."""
    dropout = net.dropout if net.hidden else 0.0
    smallest, largest = (f"{share:.0%}" for share in recipe.augmentation.area)
    crops = {
        "resized": f"crops of {smallest} to {largest} of an image",
        "paper": "crops of 7/8 of the side",
        "whole": "no crops",
    }
    parts = (
        f"recipe {recipe.name}: {recipe.optimizer}",
        f"learning rate {recipe.lr:.2g}",
        f"dropout {dropout:g}" if dropout else "no dropout",
        crops[recipe.augmentation.crop],
        "less a mean image" if net.mean_image else "",
    )
    return ", ".join(filter(None, parts))
