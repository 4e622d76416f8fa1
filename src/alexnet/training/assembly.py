"""From images and settings to a ``Training`` that is ready to run."""

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
from alexnet.images.preprocessing import mean_and_std
from alexnet.network.module.initialisation import initialise
from alexnet.network.module.model import AlexNet
from alexnet.network.weights.loading import Loaded
from alexnet.pretrained.loading import load_weights
from alexnet.training.auto import choose_by_images, choose_by_init
from alexnet.training.calibration import seconds_needed
from alexnet.training.choices.recipe import Recipe
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.average import Average
from alexnet.training.learning.freezing import freeze
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.state import Training
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group, distribute, init_distributed
from alexnet.training.machine.runtime import Runtime, detect, keep_memory, set_compiler_cache
from alexnet.training.mean_image import set_mean_image
from alexnet.training.plan import Plan
from alexnet.training.run.resolved_settings import ResolvedSettings
from alexnet.training.sizing import choose_image_size
from alexnet.training.trials import choose_threads

# Part of the time limit reserved for validation, saving and a machine that slows down in the last epoch.
RESERVE_SHARE, RESERVE_SECONDS = 0.02, 3.0


def prepare_training(
    data: str | os.PathLike[str], settings: Settings, *, began: float, track: Track = untracked
) -> tuple[Source, Store, Training]:
    """Open, prepare and split the images, and build a network for them; writes only to the cache.

    Args:
        data: argument of ``open_source``.
        settings: how to train.
        began: start of the time limit, on the clock of ``time.monotonic``.
        track: shows the progress of preparing.

    Raises:
        DataError: the data is missing, empty or of one class.
        SettingsError: the settings do not fit the data or the machine.
    """
    runtime, group = init_runtime(settings)
    with group.local_main_first():
        source = open_source(data, settings.data_dir)
        refuse_unlearnable(source)
        settings, init_note = choose_by_init(settings)
        # The images choose between batchnorm and small, which store them at the same size.
        image_size = settings.resolved_recipe.image_size or settings.base.image_size
        store = prepare_images(source, settings, store_size(image_size), track=track)
    split_seed = settings.seed if settings.split_seed is None else settings.split_seed
    source = _split_source(source, store, split_seed)
    _check_same_images(source, store, group)
    settings, note = group.broadcast(choose_by_images(settings, store))
    training = assemble(source, store, settings, runtime, group=group, began=began)
    training.note = note or init_note
    return source, store, training


def init_runtime(settings: Settings, resumed: Runtime | None = None) -> tuple[Runtime, Group]:
    """Choose device and precision, and connect to the other processes; all use the same precision.

    Raises:
        SettingsError: the device is not available, or several processes cannot use it.
    """
    set_compiler_cache()
    runtime = detect(settings.device, settings.precision, resumed=resumed)
    group = init_distributed(runtime.device)
    if len(set(group.all_gather(runtime.precision))) > 1:
        runtime = replace(runtime, precision="fp32")
    return runtime, group


def prepare_images(source: Source, settings: Settings, size: int, *, exact: bool = False, track: Track) -> Store:
    """Prepare images at a size, with the options of the settings."""
    resize, max_pixels = settings.resize, settings.max_pixels
    return prepare(source, size, resize=resize, exact=exact, max_pixels=max_pixels, track=track)


def deadline_of(settings: Settings, began: float) -> float | None:
    """Return when training must end, on the clock of ``time.monotonic``; None without a time limit."""
    limit = settings.time_limit_seconds()
    if limit is None:
        return None
    return began + limit - max(RESERVE_SECONDS, RESERVE_SHARE * limit)


def set_deadline(plan: Plan, n_val: int, settings: Settings, began: float) -> None:
    """Set when training must end, so that the network is calibrated on ``n_val`` images within the time limit."""
    deadline = deadline_of(settings, began)
    plan.deadline = None if deadline is None else deadline - seconds_needed(plan, n_val)


def _split_source(source: Source, store: Store, seed: int) -> Source:
    try:
        return split(source, store, seed)
    except DataError as error:
        if not store.skipped:
            raise
        # Perhaps these are the only images of a class.
        first, reason = next(iter(store.skipped.items()))
        raise DataError(f"{error}; {len(store.skipped)} cannot be read, the first is {first!r}: {reason}") from error


def _check_same_images(source: Source, store: Store, group: Group) -> None:
    """Check that all processes have the same images."""
    lines = "\n".join(f"{each.path}\t{each.label}\t{each.split}" for each in source.images)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    theirs = group.all_gather((store.fingerprint, digest))
    if len(set(theirs)) > 1:
        rank = next(rank for rank, each in enumerate(theirs) if each != theirs[0])
        raise DataError(
            f"process {rank} has other images in {source.name!r} than process 0; copy the same images to each machine"
        )


def assemble(
    source: Source,
    store: Store,
    settings: Settings,
    runtime: Runtime,
    *,
    group: Group = Group(),  # noqa: B008 - frozen
    resumed: ResolvedSettings | None = None,
    began: float | None = None,
) -> Training:
    """Build the network, its optimiser and its plan.

    Args:
        source: the images, split.
        store: the prepared images.
        settings: the settings; a variant or channels that are still auto are ``batchnorm`` and 3.
        runtime: device and precision.
        group: the processes that train together.
        resumed: the resolved settings of a run to resume; its initial weights are in its checkpoint.
        began: start of the time limit, on the clock of ``time.monotonic``; None: there is none.

    Raises:
        ArtifactError: the weights of ``--init`` cannot be read, or do not fit.
        DataError: too few of the images can be read.
        SettingsError: the settings do not fit the network.
    """
    n_channels, classes = resumed.architecture.in_channels if resumed else settings.n_channels, source.classes
    train, val = (examples(store, source, name, classes, n_channels) for name in ("train", "val"))
    if len(train) < 2 or not len(val):
        raise DataError(f"{source.name!r} has {len(train)} readable train and {len(val)} val images; add more")
    if runtime.device.type == "cpu":
        keep_memory()
    plan = _resumed_plan(resumed, len(train)) if resumed else _new_plan(source, len(train), settings, runtime, group)
    _check_batch_size(plan.recipe, settings, group)
    runtime = choose_threads(plan, runtime, settings.accumulate)
    plan.deadline = None if began is None else deadline_of(settings, began)
    size = plan.architecture.image_size if resumed else plan.recipe.image_size
    plan = group.broadcast(choose_image_size(plan, size, store.size, runtime, group, settings.accumulate))
    if began is not None:
        set_deadline(plan, len(val), settings, began)
    recipe = plan.recipe
    how = recipe.augmentation
    colours = train.colours(how.colour_rule) if how.colour_shift else None
    if runtime.has_room_for(train.n_bytes):
        train = train.on(runtime.device)

    torch.manual_seed(settings.seed)
    model = AlexNet(plan.architecture)
    if recipe.initialisation is not None:
        initialise(model, recipe.initialisation)
    loaded_names = resumed.loaded if resumed else None
    has_checkpoint = loaded_names is not None
    loaded = _load_initial_weights(model, settings, classes, group) if settings.init and loaded_names is None else None
    loaded_names = frozenset(loaded.taken) if loaded else loaded_names or frozenset()
    if plan.architecture.mean_image and "mean_image" not in loaded_names and not has_checkpoint:
        set_mean_image(model, train, how.crop, group)
    frozen = freeze(model, settings.freeze, loaded_names) if settings.freeze else ()
    runtime.place(model)
    network = distribute(model, group, runtime.device)
    average = Average(model, recipe.ema) if recipe.ema else None
    mean, std = mean_and_std(n_channels, mean_image=plan.architecture.mean_image)
    return Training(
        model=model,
        step=_step(model, network, train, settings, recipe, runtime, group, loaded_names),
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


def _resumed_plan(resumed: ResolvedSettings, n_train: int) -> Plan:
    return Plan(recipe=resumed.recipe, architecture=resumed.architecture, n_examples=n_train, n_epochs=resumed.n_epochs)


def _load_initial_weights(model: AlexNet, settings: Settings, classes: tuple[str, ...], group: Group) -> Loaded:
    """Load the weights of ``--init``; one process of each machine downloads them."""
    assert settings.init is not None
    partial = settings.init_take == "fitting"
    with group.local_main_first():
        return load_weights(
            model,
            settings.init,
            classes=classes,
            pixels=settings.init_pixels,
            partial=partial,
            key=settings.init_key,
        )


def _recipe(settings: Settings, source: Source, n_examples: int, runtime: Runtime, group: Group) -> Recipe:
    """Return the recipe, adapted to the images and the machine."""
    recipe = settings.resolved_recipe
    if settings.flip == "auto" and not source.mirror_safe:
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, flip=False))
    n_devices = group.world_size if runtime.device.type == "cuda" else 1
    lr = recipe.lr
    recipe = recipe.for_data(n_examples, runtime.largest_batch * n_devices)
    return recipe if settings.lr is None else recipe.with_lr(lr)  # the user's learning rate is not scaled


def _check_batch_size(recipe: Recipe, settings: Settings, group: Group) -> None:
    part = max(group.world_size, 2)  # an image for each process, and two for batch norm
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
        # Dropout.first changes between batches; as a constant, each value would be compiled again.
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
    """Return loss weights that balance the classes; their mean over the images is 1."""
    counts = np.bincount(train.labels, minlength=n_classes)  # the last classes may have no images
    return torch.from_numpy(len(train) / (np.count_nonzero(counts) * np.maximum(counts, 1))).float()
