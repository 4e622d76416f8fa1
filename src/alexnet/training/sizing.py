"""Choose the image size for the images and the time limit."""

import time
from dataclasses import replace

import torch

from alexnet.data.store.store import with_room
from alexnet.network.module.model import AlexNet
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Plan

# With a time limit, the largest size at which ENOUGH_EPOCHS epochs fit is chosen: fewer epochs with larger images
# learn less (measured in docs/experiments.md).
SMALLER_SIZES = (192, 160, 128, 96, 80)
ENOUGH_EPOCHS = 40
# Upscaling small images beyond this size gains nothing.
MAX_UPSCALED = 128


def choose_image_size(
    plan: Plan, image_size: int | None, store_size: int, runtime: Runtime, group: Group, n_parts: int
) -> Plan:
    """Return the plan with the image size chosen; with a time limit, measure the machine's speed first.

    Args:
        plan: the plan at the network's own image size.
        image_size: the requested size in pixels; None to choose by images and time limit.
        store_size: side of the stored images, in pixels.
        runtime: device and precision.
        group: the processes that train together.
        n_parts: number of parts in which a step is computed.
    """
    native = plan.architecture
    sizes = [native.image_size]
    if image_size is None:
        sizes += [size for size in SMALLER_SIZES if native.smallest_image_size <= size < native.image_size]
    if image_size is None and store_size < with_room(MAX_UPSCALED):
        sizes = [size for size in sizes if size <= MAX_UPSCALED] or sizes[-1:]
    # All share one Timing: the middle size is measured, and the others are estimated from it.
    plans = [replace(plan, architecture=replace(native, image_size=size)) for size in sizes]
    if plan.deadline is None:
        return plans[0]
    _time_steps(plans[len(plans) // 2], runtime, group, n_parts)
    seconds = plan.deadline - time.monotonic()
    return next((each for each in plans if each.epochs_that_fit(seconds) >= ENOUGH_EPOCHS), plans[-1])


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
