"""From pictures and settings to a network ready to train, its picture size chosen for the time there is."""

import hashlib
import os
import shutil
import time
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.data.batches import Examples, examples
from alexnet.data.preprocessing import centre_and_spread
from alexnet.data.reading import Track, untracked
from alexnet.data.source import Source
from alexnet.data.sources import open_source
from alexnet.data.split import refuse_unlearnable, split
from alexnet.data.store import Store, prepare, store_size, with_room
from alexnet.errors import DataError, SettingsError
from alexnet.inference.pretrained import load_weights
from alexnet.network.initialisation import initialise
from alexnet.network.model import AlexNet
from alexnet.network.weights import Loaded
from alexnet.training.average import Average
from alexnet.training.distributed import Group, join, share
from alexnet.training.initial import freeze
from alexnet.training.optimizer import make_optimizer
from alexnet.training.plan import Plan
from alexnet.training.recipe import Recipe
from alexnet.training.runtime import Runtime, detect, keep_memory
from alexnet.training.settings import Settings
from alexnet.training.state import Training
from alexnet.training.step import Step

# Kept back of a time limit for validating, saving and a machine that slows down in the last epoch.
RESERVE_SHARE, RESERVE_SECONDS = 0.02, 3.0
# Picture sizes to fall back to where time is short, and how many epochs must fit for one to be chosen: fewer passes
# over larger pictures learn less. docs/experiments.md has what that is worth.
SMALLER_SIZES = (192, 160, 128, 96, 80)
ENOUGH_EPOCHS = 40
# Smaller pictures gain nothing from being blown up further than this.
BLOWN_UP = 128


def get_ready(
    data: str | os.PathLike[str], settings: Settings, *, began: float, track: Track = untracked
) -> tuple[Source, Store, Training]:
    """Open, prepare and split the pictures, and build a network for them; nothing is written but prepared pictures.

    Args:
        data: what ``open_source`` takes.
        settings: how to train.
        began: when the time limit began to count, on ``time.monotonic``'s clock.
        track: shows how preparing goes.

    Raises:
        DataError: the data is missing, empty or of one class.
        SettingsError: the settings do not fit the data or the machine.
    """
    runtime, group = meet(settings)
    image_size = settings.image_size or settings.resolved_recipe().image_size or settings.network().image_size
    with group.one_at_first():
        source = open_source(data, settings.data_dir)
        refuse_unlearnable(source)
        store = prepare_for(source, settings, store_size(image_size), track=track)
    source = split(source, store, settings.seed)
    _refuse_different(source, store, group)
    training = assemble(source, store, settings, runtime, group=group, deadline=deadline_of(settings, began))
    return source, store, training


def meet(settings: Settings, begun: Runtime | None = None) -> tuple[Runtime, Group]:
    """Choose device and precision, and meet the other processes; all of them compute in one precision.

    Raises:
        SettingsError: the device is not here, or several processes cannot use it.
    """
    runtime = detect(settings.device, settings.precision, begun=begun)
    group = join(runtime.device)
    if len(set(group.gathered(runtime.precision))) > 1:
        runtime = replace(runtime, precision="fp32")
    return runtime, group


def prepare_for(source: Source, settings: Settings, size: int, *, exact: bool = False, track: Track) -> Store:
    """Prepare pictures at a size, the way the settings ask for."""
    resize, max_pixels = settings.resize, settings.max_pixels
    return prepare(source, size, resize=resize, exact=exact, max_pixels=max_pixels, track=track)


def deadline_of(settings: Settings, began: float) -> float | None:
    """Return when training must have ended, on ``time.monotonic``'s clock, if the time is limited at all."""
    limit = settings.seconds()
    if limit is None:
        return None
    return began + limit - max(RESERVE_SECONDS, RESERVE_SHARE * limit)


def _refuse_different(source: Source, store: Store, group: Group) -> None:
    """Refuse to train on pictures that are not the same for all processes."""
    lines = "\n".join(f"{each.path}\t{each.label}\t{each.split}" for each in source.pictures)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    theirs = group.gathered((store.fingerprint, digest))
    if len(set(theirs)) > 1:
        rank = next(rank for rank, each in enumerate(theirs) if each != theirs[0])
        raise DataError(f"process {rank} sees other pictures in {source.name!r} than process 0; copy the same to all")


def assemble(
    source: Source,
    store: Store,
    settings: Settings,
    runtime: Runtime,
    *,
    group: Group = Group(),  # noqa: B008 - frozen
    image_size: int | None = None,
    loaded: frozenset[str] | None = None,
    deadline: float | None = None,
) -> Training:
    """Build the network, its optimiser and its plan.

    Args:
        source: the pictures, split.
        store: the same, prepared.
        settings: what the user chose.
        runtime: where it runs.
        group: the processes that train together.
        image_size: the size an interrupted run had settled on.
        loaded: names of the weights that an interrupted run had begun with; its checkpoint holds them.
        deadline: when training must have ended, on ``time.monotonic``'s clock.

    Raises:
        ArtifactError: the weights to begin with cannot be read, or do not fit.
        DataError: too few of the pictures can be read.
        SettingsError: the settings do not fit the network.
    """
    n_channels, classes = settings.n_channels, source.classes
    train, val = (examples(store, source, name, classes, n_channels) for name in ("train", "val"))
    if len(train) < 2 or not len(val):
        raise DataError(
            f"{source.name!r} has {len(train)} train and {len(val)} val pictures that can be read; add more"
        )
    if runtime.device.type == "cpu":
        keep_memory()
    recipe = _recipe(settings, source, len(train), runtime, group)
    size = image_size or settings.image_size or recipe.image_size
    plan = Plan(
        recipe=recipe,
        architecture=settings.network(n_classes=len(classes), in_channels=n_channels, image_size=size),
        n_examples=len(train),
        n_epochs=settings.n_epochs(),
        deadline=deadline,
    )
    plan = group.led(_with_size(plan, size, store.size, runtime, group, settings.accumulate))
    colours = train.colours() if recipe.augmentation.colour_shift else None
    if runtime.has_room_for(train.n_bytes):
        train = train.on(runtime.device)

    torch.manual_seed(settings.seed)
    model = AlexNet(plan.architecture)
    if recipe.initialisation is not None:
        initialise(model, recipe.initialisation)
    begun = _begin(model, settings, classes, group) if settings.init and loaded is None else None
    taken = frozenset(begun.taken) if begun else loaded or frozenset()
    frozen = freeze(model, settings.freeze, taken) if settings.freeze else ()
    runtime.place(model)
    network = share(model, group, runtime.device)
    average = Average(model, recipe.ema) if recipe.ema else None
    mean, std = centre_and_spread(n_channels)
    return Training(
        model=model,
        step=_step(model, network, train, settings, recipe, runtime, group, taken),
        plan=plan,
        train=train,
        val=val,
        classes=classes,
        colours=colours,
        mean=mean,
        std=std,
        runtime=runtime,
        seed=settings.seed,
        group=group,
        balanced=settings.balance == "sampler",
        average=average,
        loaded=begun,
        frozen=frozen,
        patience=settings.patience,
    )


def _begin(model: AlexNet, settings: Settings, classes: tuple[str, ...], group: Group) -> Loaded:
    """Give the network the weights to begin with; one process of a machine downloads them for all."""
    assert settings.init is not None
    partial = settings.init_take == "fitting"
    with group.one_at_first():
        return load_weights(model, settings.init, classes=classes, pixels=settings.init_pixels, partial=partial)


def _recipe(settings: Settings, source: Source, n_examples: int, runtime: Runtime, group: Group) -> Recipe:
    """Return the recipe with what follows from the pictures and the machine."""
    recipe = settings.resolved_recipe()
    if settings.flip == "auto" and not source.mirror_safe:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, flip=False))
    n_devices = group.n_ranks if runtime.device.type == "cuda" else 1
    lr = recipe.lr
    recipe = recipe.following(n_examples, runtime.largest_batch * n_devices)
    if settings.lr is not None:  # what is given stays as it is
        recipe = replace(recipe, lr=lr)
    part = max(group.n_ranks, 2)  # one picture for each process, and two for batch norm's spread
    if recipe.batch_size < part * settings.accumulate:
        raise SettingsError(
            f"batch_size is {recipe.batch_size}; with --accumulate {settings.accumulate} it must be at least "
            f"{part * settings.accumulate}: each part needs {part} pictures"
        )
    return recipe


def _step(
    model: AlexNet,
    network: nn.Module,
    train: Examples,
    settings: Settings,
    recipe: Recipe,
    runtime: Runtime,
    group: Group,
    loaded: frozenset[str],
) -> Step:
    compiles = settings.compile == "on" or (settings.compile == "auto" and runtime.device.type == "cuda")
    if compiles:
        if runtime.device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            raise SettingsError("--compile needs a C++ compiler on a CPU; install g++, or leave it out")
        # A batch's place in the whole one is a number that changes; as a constant, all is compiled anew for each.
        torch._dynamo.config.allow_unspec_int_on_nn_module = True
    weights = _class_weights(train, model.architecture.n_classes) if settings.balance == "loss" else None
    return Step(
        network=cast(nn.Module, torch.compile(network)) if compiles else network,
        optimizer=make_optimizer(model, recipe, runtime, loaded),
        runtime=runtime,
        label_smoothing=recipe.label_smoothing,
        clip_norm=recipe.clip_norm,
        class_weights=None if weights is None else runtime.move(weights),
        n_parts=settings.accumulate,
        n_ranks=group.n_ranks,
    )


def _class_weights(train: Examples, n_classes: int) -> Tensor:
    """Return how much a picture of each class counts, so that classes count alike; 1 on average over the pictures."""
    counts = np.bincount(train.labels, minlength=n_classes)  # the last ones may have no pictures
    return torch.from_numpy(len(train) / (np.count_nonzero(counts) * np.maximum(counts, 1))).float()


def _with_size(
    plan: Plan, image_size: int | None, store_size: int, runtime: Runtime, group: Group, n_parts: int
) -> Plan:
    """Settle the picture size, and measure the machine where the plan must know its pace."""
    native = plan.architecture
    sizes = [native.image_size]
    if image_size is None:
        sizes += [size for size in SMALLER_SIZES if native.smallest_image_size <= size < native.image_size]
    if image_size is None and store_size < with_room(BLOWN_UP):
        sizes = [size for size in sizes if size <= BLOWN_UP] or sizes[-1:]
    # They share one pace: what is measured for one in the middle is an estimate for the others.
    plans = [replace(plan, architecture=replace(native, image_size=size)) for size in sizes]
    if plan.deadline is None:
        return plans[0]
    _probe(plans[len(plans) // 2], runtime, group, n_parts)
    seconds = plan.deadline - time.monotonic()
    return next((each for each in plans if each.epochs_that_fit(seconds) >= ENOUGH_EPOCHS), plans[-1])


def _probe(plan: Plan, runtime: Runtime, group: Group, n_parts: int) -> None:
    """Time a process's part of steps at the size that training begins with, on a network that is then thrown away.

    The first step is left out: it also chooses algorithms and fetches memory.
    """
    recipe, size = plan.recipe, plan.size_at(0.0)
    n_all = min(recipe.batch_size, plan.n_examples)
    n = max(2, len(group.shard.part(n_all)))
    model = AlexNet(plan.architecture)
    runtime.place(model)
    step = Step(network=model, optimizer=make_optimizer(model, recipe, runtime), runtime=runtime, n_parts=n_parts)
    pictures = torch.zeros(n, model.architecture.in_channels, size, size)
    pictures = runtime.move(pictures.contiguous(memory_format=torch.channels_last))
    labels = runtime.move(torch.zeros(n, dtype=torch.int64))
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        step.take(pictures, labels, seed=0).item()
        seconds.append(time.perf_counter() - began)
    plan.pace.seconds[size] = min(seconds[1:]) / n_all
