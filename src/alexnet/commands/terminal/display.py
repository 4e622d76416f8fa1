"""Progress and warnings: a progress bar on a terminal, elsewhere a plain line every 30 seconds.

All of it goes to stderr. stdout is for results.
"""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alexnet.data.check import check_prepared
from alexnet.data.sources.open import as_argument
from alexnet.network.value.architecture import Architecture
from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.monitoring import few_images_warning
from alexnet.training.learning.state import Training
from alexnet.training.session import Session

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30.0
MOST_NAMED = 10

# Of several processes that train together, only the first prints.
console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=os.environ.get("RANK", "0") != "0")


def say(line: str) -> None:
    """Print one line, above the progress bar if there is one."""
    console.print(line, markup=False, emoji=False)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, one per line."""
    for warning in warnings:
        say(f"warning: {warning}")


def warn_of_skipped(skipped: dict[str, str]) -> None:
    """Name the first images that cannot be read, and count all of them."""
    shown = list(skipped.items())[:MOST_NAMED]
    warn(f"skipped {path}: {reason}" for path, reason in shown)
    if skipped:
        say(f"skipped {len(skipped)} unreadable {'image' if len(skipped) == 1 else 'images'}")


def warn_of_damaged(left: dict[str, str]) -> None:
    """Name the first prepared images that stay damaged, and count all of them."""
    shown = list(left.items())[:MOST_NAMED]
    warn(f"damaged on the disk and cannot be prepared anew: {path}: {reason}" for path, reason in shown)
    if left:
        say(f"{len(left)} {'image stays' if len(left) == 1 else 'images stay'} damaged")


def introduce(session: Session) -> None:
    """Print what will be trained, on which images, and into which run folder."""
    source, training = session.source, session.training
    warn(source.warnings + session.store.warnings)
    warn_of_skipped(session.store.skipped)
    # The cheap part of alexnet check: it needs only what preparing has computed.
    findings = check_prepared(source, session.store)
    warn(finding.message for finding in findings[:MOST_NAMED])
    if len(findings) > MOST_NAMED:
        say(f"and {len(findings) - MOST_NAMED} more; see: alexnet check {as_argument(source)}")
    counts = np.bincount(training.train.labels, minlength=len(training.classes)).tolist()
    warn(filter(None, [few_images_warning(counts, training.classes)]))
    plan, runtime, group = training.plan, training.runtime, training.group
    n_test = len(source.in_split("test"))
    say(
        f"{len(training.train)} train, {len(training.val)} val and {n_test} test images of "
        f"{len(source.classes)} classes"
    )
    if training.note:
        say(training.note)
    machine = f"{runtime.precision} on {runtime.device}"
    if runtime.n_threads is not None:
        machine += f", {runtime.n_threads} {'thread' if runtime.n_threads == 1 else 'threads'}"
    if group.world_size > 1:
        machine += f", {group.world_size} processes"
    say(
        f"{plan.architecture.variant} at {plan.architecture.image_size} px, {expected_epochs(training)}, "
        f"batch {plan.recipe.batch_size}, {machine}; run folder {session.run.folder}"
    )
    say(describe_recipe(plan.recipe, plan.architecture))
    if training.loaded:
        say(f"weights of {session.settings.init}: {training.loaded}")
    if training.frozen:
        say(f"frozen: {', '.join(training.frozen)}")
    position = training.position
    if position.epoch or position.step:
        say(f"resumed in epoch {position.epoch + 1}, after {position.step} of its steps")


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
    )
    return ", ".join(parts)


def track(items: Iterable[T], n_items: int, what: str) -> Iterator[T]:
    """Yield the items, and show how many are done."""
    if not console.is_terminal:
        yield from _plain_track(items, n_items, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=n_items, description=what)


def _plain_track(items: Iterable[T], n_items: int, what: str) -> Iterator[T]:
    last = time.monotonic()
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            say(f"{what}: {number} of {n_items}")
            last = time.monotonic()


def format_seconds(seconds: float) -> str:
    """Return seconds as ``4:05`` or ``2:04:05``. str(timedelta) would print ``0:04:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
