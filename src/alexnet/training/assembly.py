"""From prepared pictures and settings to a network ready to train, its picture size chosen for the time there is."""

import time
from dataclasses import replace

import torch

from alexnet.data.batches import examples
from alexnet.data.preprocessing import centre_and_spread
from alexnet.data.source import Source
from alexnet.data.store import Store
from alexnet.errors import DataError
from alexnet.network.architecture import resolve
from alexnet.network.model import AlexNet
from alexnet.training.loop import Position, Training, make_optimizer, take_step
from alexnet.training.plan import Plan
from alexnet.training.runtime import Runtime, keep_memory
from alexnet.training.settings import Settings

# Picture sizes to fall back to where time is short, and how many epochs must fit for one to be chosen: fewer passes
# over larger pictures learn less. Sets of pictures smaller than the last gain nothing from being blown up further.
SMALLER_SIZES = (192, 160, 128)
ENOUGH_EPOCHS = 20


def assemble(
    source: Source,
    store: Store,
    settings: Settings,
    runtime: Runtime,
    *,
    image_size: int | None = None,
    deadline: float | None = None,
) -> Training:
    """Build the network, its optimiser and its plan.

    Args:
        source: the pictures, split.
        store: the same, prepared.
        settings: what the user chose.
        runtime: where it runs.
        image_size: the size an interrupted run had settled on.
        deadline: when training must have ended, on ``time.monotonic``'s clock.

    Raises:
        DataError: too few of the pictures can be read.
        SettingsError: the settings do not fit the network.
    """
    n_channels = settings.in_channels
    train, val = (examples(store, source, name, source.classes, n_channels) for name in ("train", "val"))
    if len(train) < 2 or not len(val):
        raise DataError(
            f"{source.name!r} has {len(train)} train and {len(val)} val pictures that can be read; add more"
        )
    if runtime.device.type == "cpu":
        keep_memory()
    recipe = settings.resolved_recipe()
    if settings.flip == "auto" and not source.mirror_safe:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, flip=False))
    plan = Plan(
        recipe=recipe,
        architecture=resolve(settings.variant, n_classes=len(source.classes), in_channels=n_channels),
        n_examples=len(train),
        n_epochs=settings.n_epochs(),
        deadline=deadline,
    )
    plan = _with_size(plan, image_size or settings.image_size, store.size, runtime)

    torch.manual_seed(settings.seed)
    model = AlexNet(plan.architecture)
    runtime.place(model)
    mean, std = centre_and_spread(n_channels)
    return Training(
        model=model,
        optimizer=make_optimizer(model, plan.recipe, runtime),
        plan=plan,
        train=train,
        val=val,
        classes=source.classes,
        colours=train.colours() if recipe.augmentation.colour_shift else None,
        mean=mean,
        std=std,
        runtime=runtime,
        seed=settings.seed,
        position=Position(),
    )


def _with_size(plan: Plan, image_size: int | None, store_size: int, runtime: Runtime) -> Plan:
    """Settle the picture size, and measure the machine where the plan must know its pace."""
    native = plan.architecture
    sizes = [native.image_size, *(size for size in SMALLER_SIZES if size < native.image_size)]
    if image_size is not None:
        sizes = [image_size]
    elif store_size < sizes[-1]:
        sizes = sizes[-1:]
    # They share one pace: what is measured for the smallest is an estimate for the others.
    plans = [replace(plan, architecture=replace(native, image_size=size)) for size in sizes]
    if plan.deadline is None:
        return plans[0]
    _probe(plans[-1], runtime)
    seconds = plan.deadline - time.monotonic()
    return next((each for each in plans if each.epochs_that_fit(seconds) >= ENOUGH_EPOCHS), plans[-1])


def _probe(plan: Plan, runtime: Runtime) -> None:
    """Time steps at the size that training begins with, on a network made for that and thrown away.

    The first step is left out: it also chooses algorithms and fetches memory.
    """
    recipe, size = plan.recipe, plan.size_at(0.0)
    n = min(recipe.batch_size, plan.n_examples)
    model = AlexNet(plan.architecture)
    runtime.place(model)
    optimizer = make_optimizer(model, recipe, runtime)
    pictures = torch.zeros(n, model.architecture.in_channels, size, size)
    pictures, labels = pictures.contiguous(memory_format=torch.channels_last), torch.zeros(n, dtype=torch.int64)
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        take_step(model, optimizer, runtime, runtime.move(pictures), runtime.move(labels), recipe.label_smoothing)
        seconds.append(time.perf_counter() - began)
    plan.pace.seconds[size] = min(seconds[1:]) / n
