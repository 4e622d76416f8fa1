"""Timed steps on a temporary network: how fast the machine is, and with how many threads."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median

import torch

from alexnet.network.module.model import AlexNet
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Plan

# More threads are chosen unless they take this much longer: the other processes of a busy machine may end soon.
TIE = 1.2
# Steps with one number of threads and another are timed for this long. Each has as many images as make up TRIAL_WORK
# multiply-adds (forward).
TRIAL_SECONDS = 0.6
TRIAL_WORK, LEAST_IMAGES = 10**9, 8


def choose_threads(plan: Plan, runtime: Runtime, n_parts: int) -> Runtime:
    """Return the runtime with the number of threads that trains fastest now; measured, unless it is given already.

    Steps are timed in turns on a temporary network, at the first image size. Takes one to two seconds.
    """
    if not runtime.can_choose_threads:
        return runtime
    counts = thread_counts(torch.get_num_threads())
    if len(counts) == 1:
        return replace(runtime, n_threads=1)
    work = replace(plan.architecture, image_size=plan.size_at(0.0)).n_mult_adds
    n_images = min(plan.recipe.batch_size, plan.n_examples, max(LEAST_IMAGES, TRIAL_WORK // work))
    take_step = _trial(plan, runtime, n_images, n_parts)

    def take_step_with(n_threads: int) -> float:
        with replace(runtime, n_threads=n_threads).threads():
            return take_step()

    for each in counts:  # the first step of each also selects algorithms and allocates memory
        take_step_with(each)
    seconds: dict[int, list[float]] = {each: [] for each in counts}
    ends = time.monotonic() + TRIAL_SECONDS
    while not seconds[counts[0]] or time.monotonic() < ends:
        for each, list_ in seconds.items():
            list_.append(take_step_with(each))
    return replace(runtime, n_threads=fastest({each: median(list_) for each, list_ in seconds.items()}))


def thread_counts(most: int) -> list[int]:
    """Return the powers of two below ``most``, and ``most``."""
    return [*(2**i for i in range((most - 1).bit_length())), most]


def fastest(seconds: Mapping[int, float]) -> int:
    """Return the largest number of threads whose seconds per step are within ``TIE`` of the shortest."""
    shortest = min(seconds.values())
    return max(n for n, each in seconds.items() if each <= TIE * shortest)


def time_steps(plan: Plan, runtime: Runtime, group: Group, n_parts: int) -> None:
    """Time steps on this process's part of a batch, at the first image size.

    The first step does not count: it also selects algorithms and allocates memory.
    """
    n_all = min(plan.recipe.batch_size, plan.n_examples)
    take_step = _trial(plan, runtime, max(2, len(group.shard.part(n_all))), n_parts)
    with runtime.threads():
        seconds = [take_step() for _ in range(4)]
    plan.timing.seconds[plan.size_at(0.0)] = min(seconds[1:]) / n_all


def _trial(plan: Plan, runtime: Runtime, n: int, n_parts: int) -> Callable[[], float]:
    """Return a function that takes a step on ``n`` images with a temporary network, and returns its seconds."""
    recipe, size = plan.recipe, plan.size_at(0.0)
    model = AlexNet(plan.architecture)
    runtime.place(model)
    optimizer = make_optimizer(model, recipe, runtime)
    step = Step(network=model, optimizer=optimizer, runtime=runtime, recipe=recipe, n_parts=n_parts)
    images = torch.zeros(n, model.architecture.in_channels, size, size)
    images = runtime.move(images.contiguous(memory_format=torch.channels_last))
    labels = runtime.move(torch.zeros(n, dtype=torch.int64))

    def take_step() -> float:
        began = time.perf_counter()
        step.take(images, labels, seed=0).item()
        return time.perf_counter() - began

    return take_step
