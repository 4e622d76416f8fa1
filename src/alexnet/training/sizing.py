"""Choose the variant, the channels and the image size for the images and the time limit."""

import time
from dataclasses import replace
from typing import Literal

import torch

from alexnet.data.store.store import Store, with_room
from alexnet.network.module.model import AlexNet
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.variants import VARIANTS, Variant
from alexnet.pretrained.loading import saved_architecture
from alexnet.training.choices.recipes import RECIPES
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Plan

# With a time limit, the largest size is chosen at which enough epochs fit; what is enough was measured in
# docs/experiments.md. Fewer epochs with larger images learn less.
ENOUGH_EPOCHS = {192: 60, 160: 60, 128: 30, 96: 4, 80: 0}
ENOUGH_EPOCHS_NATIVE = 60
# The same for networks for small images, which learn more from enlarged ones: by the factor of their own size.
ENOUGH_EPOCHS_ENLARGED = {1.5: 30, 1.25: 12}
# Upscaling small images beyond this size gains nothing.
MAX_UPSCALED = 128
# Images up to this size are small: CIFAR-10 has 32 px, Tiny ImageNet 64.
MAX_SMALL = 64


def choose_by_init(settings: Settings) -> tuple[Settings, str]:
    """Return the settings with the variant and channels of the model in ``--init``, if these are auto, and a note.

    Weights in other formats do not record them: then they are ``batchnorm`` and 3.

    Raises:
        ArtifactError: the model cannot be read.
    """
    is_chosen = settings.variant is not None and settings.in_channels is not None
    if settings.init is None or settings.architecture is not None or is_chosen:
        return settings, ""
    net = saved_architecture(settings.init)
    why = "not recorded in --init" if net is None else "as in --init"
    # A network of one's own may have another name, and any number of channels.
    variant: Variant = next((name for name in VARIANTS if net is not None and name == net.variant), "batchnorm")
    return _chosen(settings, variant, why, 1 if net is not None and net.in_channels == 1 else 3, why)


def choose_by_images(settings: Settings, store: Store) -> tuple[Settings, str]:
    """Return the settings with variant and channels chosen for the images, if these are auto, and a note.

    The variant is ``small`` if no image is longer than ``MAX_SMALL`` pixels, else ``batchnorm``; the image size of the
    settings does not matter. A recipe with its own image size is for ``batchnorm``. Grey images have one channel.
    """
    if settings.architecture is not None:
        return settings, ""
    recipe_size, longest = RECIPES[settings.recipe].image_size, store.longest_side
    variant: Variant = "small" if recipe_size is None and longest <= MAX_SMALL else "batchnorm"
    compared = "at most" if longest <= MAX_SMALL else "more than"
    why = f"the longest side of any image is {longest} px, {compared} {MAX_SMALL}"
    if recipe_size is not None:
        why = f"the recipe {settings.recipe} has images of {recipe_size} px"
    colours = "all images are grey" if store.is_grey else "not all images are grey"
    return _chosen(settings, variant, why, 1 if store.is_grey else 3, colours)


def _chosen(
    settings: Settings, variant: Variant, why_variant: str, n_channels: Literal[3, 1], why_channels: str
) -> tuple[Settings, str]:
    """Return the settings with what is auto replaced, and a note on why."""
    notes = []
    if settings.variant is None:
        notes.append(f"variant {variant}: {why_variant}")
    if settings.in_channels is None:
        notes.append(f"{n_channels} {'channel' if n_channels == 1 else 'channels'}: {why_channels}")
    chosen = replace(settings, variant=settings.variant or variant, in_channels=settings.in_channels or n_channels)
    return chosen, "; ".join(notes)


def choose_image_size(
    plan: Plan, image_size: int | None, store_size: int, runtime: Runtime, group: Group, n_parts: int
) -> Plan:
    """Return the plan with image size and recipe for its passes; with a time limit, measure the machine's speed first.

    Args:
        plan: the plan at the network's own image size.
        image_size: the requested size in pixels; None to choose by images and time limit.
        store_size: side of the stored images, in pixels.
        runtime: device and precision.
        group: the processes that train together.
        n_parts: number of parts in which a step is computed.
    """
    native = plan.architecture
    enough = {native.image_size: 0} if image_size is not None else _enough_epochs(native, store_size)
    if plan.deadline is None:
        largest = next(size for size in enough if size <= native.image_size)
        return _at_size(plan, largest).for_passes(plan.n_epochs)
    # All share one Timing: the middle size is measured, and the others are estimated from it.
    plans = [_at_size(plan, size) for size in enough]
    _time_steps(plans[len(plans) // 2], runtime, group, n_parts)
    seconds = plan.deadline - time.monotonic()
    fitting = [min(each.epochs_that_fit(seconds), plan.n_epochs) for each in plans]
    candidates = zip(plans, fitting, enough.values(), strict=True)
    chosen, n_epochs = next(((each, n) for each, n, least in candidates if n >= least), (plans[-1], fitting[-1]))
    return chosen.for_passes(n_epochs)


def _enough_epochs(native: Architecture, store_size: int) -> dict[int, int]:
    """Return the image sizes to choose from, the largest first, and how many epochs must fit at each."""
    side = native.image_size
    if side <= MAX_SMALL:
        # Images that are smaller still are enlarged to the network's own size already.
        factors = ENOUGH_EPOCHS_ENLARGED.items() if store_size >= with_room(side) else ()
        return {round(factor * side): least for factor, least in factors} | {side: 0}
    smallest = native.smallest_image_size
    sizes = {side: ENOUGH_EPOCHS_NATIVE} | {
        size: least for size, least in ENOUGH_EPOCHS.items() if smallest <= size < side
    }
    if store_size < with_room(MAX_UPSCALED):
        sizes = {size: least for size, least in sizes.items() if size <= MAX_UPSCALED} or {min(sizes): 0}
    return sizes


def _at_size(plan: Plan, size: int) -> Plan:
    return replace(plan, architecture=replace(plan.architecture, image_size=size))


def _time_steps(plan: Plan, runtime: Runtime, group: Group, n_parts: int) -> None:
    """Time steps on this process's part of a batch, at the first image size, on a temporary network.

    The first step does not count: it also selects algorithms and allocates memory.
    """
    recipe, size = plan.recipe, plan.size_at(0.0)
    n_all = min(recipe.batch_size, plan.n_examples)
    n = max(2, len(group.shard.part(n_all)))
    model = AlexNet(plan.architecture)
    runtime.place(model)
    optimizer = make_optimizer(model, recipe, runtime)
    step = Step(network=model, optimizer=optimizer, runtime=runtime, recipe=recipe, n_parts=n_parts)
    images = torch.zeros(n, model.architecture.in_channels, size, size)
    images = runtime.move(images.contiguous(memory_format=torch.channels_last))
    labels = runtime.move(torch.zeros(n, dtype=torch.int64))
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        step.take(images, labels, seed=0).item()
        seconds.append(time.perf_counter() - began)
    plan.timing.seconds[size] = min(seconds[1:]) / n_all
