"""The image size for the images and the time there is."""

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

# Image sizes to fall back to where time is short, and how many epochs must fit for one to be chosen: fewer passes
# over larger images learn less. docs/experiments.md has what that is worth.
SMALLER_SIZES = (192, 160, 128, 96, 80)
ENOUGH_EPOCHS = 40
# Smaller images gain nothing from being blown up further than this.
BLOWN_UP = 128


def with_size(
    plan: Plan, image_size: int | None, store_size: int, runtime: Runtime, group: Group, n_parts: int
) -> Plan:
    """Settle the image size, and measure the machine where the plan must know its pace.

    Args:
        plan: what is to be done, at the network's own image size.
        image_size: the size in pixels that is asked for; None where the data and the time decide.
        store_size: side of the stored images, in pixels.
        runtime: where it runs.
        group: the processes that train together.
        n_parts: in how many parts a step is computed.
    """
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
    plan.pace.seconds[size] = min(seconds[1:]) / n_all
