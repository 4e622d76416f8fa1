"""From images and settings to a network ready to train, its image size chosen for the time there is."""

import hashlib
import os
import shutil
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import Track, untracked
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source
from alexnet.data.split import refuse_unlearnable, split
from alexnet.data.store.store import Store, prepare, store_size
from alexnet.errors import DataError, SettingsError
from alexnet.images.preprocessing import centre_and_spread
from alexnet.network.module.initialisation import initialise
from alexnet.network.module.model import AlexNet
from alexnet.network.weights.loading import Loaded
from alexnet.pretrained.loading import load_weights
from alexnet.training.choices.recipe import Recipe
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.average import Average
from alexnet.training.learning.freezing import freeze
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.state import Training
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group, join, share
from alexnet.training.machine.runtime import Runtime, detect, keep_memory, name_compiler_cache
from alexnet.training.plan import Plan
from alexnet.training.run.resolved import Resolved
from alexnet.training.sizing import with_size

# Kept back of a time limit for validating, saving and a machine that slows down in the last epoch.
RESERVE_SHARE, RESERVE_SECONDS = 0.02, 3.0


def get_ready(
    data: str | os.PathLike[str], settings: Settings, *, began: float, track: Track = untracked
) -> tuple[Source, Store, Training]:
    """Open, prepare and split the images, and build a network for them; nothing is written but prepared images.

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
    image_size = settings.resolved_recipe.image_size or settings.base.image_size
    with group.one_at_first():
        source = open_source(data, settings.data_dir)
        refuse_unlearnable(source)
        store = prepare_for(source, settings, store_size(image_size), track=track)
    source = _divided(source, store, settings.seed)
    _refuse_different(source, store, group)
    training = assemble(source, store, settings, runtime, group=group, deadline=deadline_of(settings, began))
    return source, store, training


def meet(settings: Settings, begun: Runtime | None = None) -> tuple[Runtime, Group]:
    """Choose device and precision, and meet the other processes; all of them compute in one precision.

    Raises:
        SettingsError: the device is not here, or several processes cannot use it.
    """
    name_compiler_cache()
    runtime = detect(settings.device, settings.precision, begun=begun)
    group = join(runtime.device)
    if len(set(group.all_gather(runtime.precision))) > 1:
        runtime = replace(runtime, precision="fp32")
    return runtime, group


def prepare_for(source: Source, settings: Settings, size: int, *, exact: bool = False, track: Track) -> Store:
    """Prepare images at a size, the way the settings ask for."""
    resize, max_pixels = settings.resize, settings.max_pixels
    return prepare(source, size, resize=resize, exact=exact, max_pixels=max_pixels, track=track)


def deadline_of(settings: Settings, began: float) -> float | None:
    """Return when training must have ended, on ``time.monotonic``'s clock, if the time is limited at all."""
    limit = settings.seconds()
    if limit is None:
        return None
    return began + limit - max(RESERVE_SECONDS, RESERVE_SHARE * limit)


def _divided(source: Source, store: Store, seed: int) -> Source:
    try:
        return split(source, store, seed)
    except DataError as error:
        if not store.skipped:
            raise
        # Such as the only images of a class.
        first, reason = next(iter(store.skipped.items()))
        raise DataError(f"{error}; {len(store.skipped)} cannot be read, the first is {first!r}: {reason}") from error


def _refuse_different(source: Source, store: Store, group: Group) -> None:
    """Refuse to train on images that are not the same for all processes."""
    lines = "\n".join(f"{each.path}\t{each.label}\t{each.split}" for each in source.images)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    theirs = group.all_gather((store.fingerprint, digest))
    if len(set(theirs)) > 1:
        rank = next(rank for rank, each in enumerate(theirs) if each != theirs[0])
        raise DataError(f"process {rank} sees other images in {source.name!r} than process 0; copy the same to all")


def assemble(
    source: Source,
    store: Store,
    settings: Settings,
    runtime: Runtime,
    *,
    group: Group = Group(),  # noqa: B008 - frozen
    begun: Resolved | None = None,
    deadline: float | None = None,
) -> Training:
    """Build the network, its optimiser and its plan.

    Args:
        source: the images, split.
        store: the same, prepared.
        settings: what the user chose.
        runtime: where it runs.
        group: the processes that train together.
        begun: what an interrupted run had settled on; the weights that it began with are in its checkpoint.
        deadline: when training must have ended, on ``time.monotonic``'s clock.

    Raises:
        ArtifactError: the weights to begin with cannot be read, or do not fit.
        DataError: too few of the images can be read.
        SettingsError: the settings do not fit the network.
    """
    n_channels, classes = settings.n_channels, source.classes
    train, val = (examples(store, source, name, classes, n_channels) for name in ("train", "val"))
    if len(train) < 2 or not len(val):
        raise DataError(f"{source.name!r} has {len(train)} train and {len(val)} val images that can be read; add more")
    if runtime.device.type == "cpu":
        keep_memory()
    plan = _continued(begun, len(train)) if begun else _new_plan(source, len(train), settings, runtime, group)
    _refuse_small_parts(plan.recipe, settings, group)
    plan.deadline = deadline
    size = plan.architecture.image_size if begun else plan.recipe.image_size
    plan = group.broadcast(with_size(plan, size, store.size, runtime, group, settings.accumulate))
    recipe = plan.recipe
    colours = train.colours() if recipe.augmentation.colour_shift else None
    if runtime.has_room_for(train.n_bytes):
        train = train.on(runtime.device)

    torch.manual_seed(settings.seed)
    model = AlexNet(plan.architecture)
    if recipe.initialisation is not None:
        initialise(model, recipe.initialisation)
    taken = begun.loaded if begun else None
    loaded = _begin(model, settings, classes, group) if settings.init and taken is None else None
    taken = frozenset(loaded.taken) if loaded else taken or frozenset()
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
        loaded=loaded,
        frozen=frozen,
        patience=settings.patience,
    )


def _new_plan(source: Source, n_train: int, settings: Settings, runtime: Runtime, group: Group) -> Plan:
    recipe = _recipe(settings, source, n_train, runtime, group)
    n_classes, n_channels = len(source.classes), settings.n_channels
    architecture = settings.network(n_classes=n_classes, in_channels=n_channels, image_size=recipe.image_size)
    return Plan(recipe=recipe, architecture=architecture, n_examples=n_train, n_epochs=settings.n_epochs())


def _continued(begun: Resolved, n_train: int) -> Plan:
    return Plan(recipe=begun.recipe, architecture=begun.architecture, n_examples=n_train, n_epochs=begun.n_epochs)


def _begin(model: AlexNet, settings: Settings, classes: tuple[str, ...], group: Group) -> Loaded:
    """Give the network the weights to begin with; one process of a machine downloads them for all."""
    assert settings.init is not None
    partial = settings.init_take == "fitting"
    with group.one_at_first():
        return load_weights(
            model,
            settings.init,
            classes=classes,
            pixels=settings.init_pixels,
            partial=partial,
            key=settings.init_key,
        )


def _recipe(settings: Settings, source: Source, n_examples: int, runtime: Runtime, group: Group) -> Recipe:
    """Return the recipe with what follows from the images and the machine."""
    recipe = settings.resolved_recipe
    if settings.flip == "auto" and not source.mirror_safe:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, flip=False))
    n_devices = group.world_size if runtime.device.type == "cuda" else 1
    lr = recipe.lr
    recipe = recipe.following(n_examples, runtime.largest_batch * n_devices)
    return recipe if settings.lr is None else replace(recipe, lr=lr)  # what is given stays as it is


def _refuse_small_parts(recipe: Recipe, settings: Settings, group: Group) -> None:
    part = max(group.world_size, 2)  # one image for each process, and two for batch norm's spread
    if recipe.batch_size < part * settings.accumulate:
        raise SettingsError(
            f"batch_size is {recipe.batch_size}; with --accumulate {settings.accumulate} it must be at least "
            f"{part * settings.accumulate}: each part needs {part} images"
        )


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
        recipe=recipe,
        class_weights=None if weights is None else runtime.move(weights),
        n_parts=settings.accumulate,
        world_size=group.world_size,
    )


def _class_weights(train: Examples, n_classes: int) -> Tensor:
    """Return how much an image of each class counts, so that classes count alike; 1 on average over the images."""
    counts = np.bincount(train.labels, minlength=n_classes)  # the last ones may have no images
    return torch.from_numpy(len(train) / (np.count_nonzero(counts) * np.maximum(counts, 1))).float()
