"""Throughput on a busy machine: with one thread and with several, which wait actively or passively.

    python -m benchmarks.busy [--turns 5]

Trains ``small`` at 32 px and ``batchnorm`` at 99 px on digits in float32, with the loop of ``alexnet train``, and
predicts with ``batchnorm`` at 99 px: a second with one thread, a second with as many as there are cores, in turns.
Threads wait *active*, the default of OpenMP, or *passive*, as in ``alexnet train``: each in its own process, alone and
beside a process that keeps one core busy. Prints medians of images/s, and their ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from alexnet.cli import WAIT_POLICIES
from alexnet.data.parallel import n_cores
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store.store import prepare, store_size
from alexnet.network.module.model import AlexNet
from alexnet.network.value.changes import resolve
from alexnet.training.assembly import assemble
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import StepReport
from alexnet.training.machine.runtime import detect
from benchmarks.training import describe

BATCH, SIZE, SECONDS = 64, 99, 1.0
WAITS: dict[str, dict[str, str]] = {"active": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}}


def train(settings: Settings) -> Generator[None]:
    """Train; yield after each step."""
    source = open_source("set:digits")
    store = prepare(source, store_size(settings.image_size or SIZE))
    training = assemble(split(source, store, seed=0), store, settings, detect("cpu", "fp32"))
    training.plan = replace(training.plan, recipe=replace(training.plan.recipe, sizes=()))
    for report in fit_steps(training):
        if isinstance(report, StepReport):
            yield


def predict() -> Generator[None]:
    """Predict; yield after each batch."""
    model = AlexNet(resolve("batchnorm", n_classes=10, image_size=SIZE)).eval()
    images = torch.zeros(BATCH, 3, SIZE, SIZE)
    with torch.inference_mode():
        while True:
            model(images)
            yield


def measure(steps: Generator[None], turns: int) -> tuple[float, float]:
    """Return images/s with one thread and with all, in turns; the last batch of an epoch counts as a full one."""
    rates: dict[int, list[float]] = {1: [], n_cores(): []}
    for turn in range(turns + 1):
        for n_threads, list_ in rates.items():
            torch.set_num_threads(n_threads)
            next(steps)
            began, n_steps = time.perf_counter(), 0
            while (passed := time.perf_counter() - began) < SECONDS:
                next(steps)
                n_steps += 1
            if turn:  # the first is warm-up
                list_.append(n_steps * BATCH / passed)
    steps.close()
    return statistics.median(rates[1]), statistics.median(rates[n_cores()])


@contextmanager
def busy_cores(n: int) -> Iterator[None]:
    """Keep ``n`` cores busy with other processes."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for each in processes:
            each.kill()


def main() -> None:
    """Measure each way of waiting in its own process; or measure in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        small = Settings(variant="small", image_size=32, batch_size=BATCH, epochs=200)
        batchnorm = replace(small, variant="batchnorm", image_size=SIZE)
        work = {"small": train(small), "batchnorm": train(batchnorm), "predict": predict()}
        print(json.dumps({name: measure(steps, given.turns) for name, steps in work.items()}))
        return
    print(f"{describe(detect('cpu', 'fp32'))}; images/s with 1 thread, with {n_cores()}, and their ratio", flush=True)
    command = [sys.executable, "-m", "benchmarks.busy", "--here", "--turns", str(given.turns)]
    usual = {name: value for name, value in os.environ.items() if name not in WAIT_POLICIES | {"OMP_NUM_THREADS"}}
    for n_busy in (0, 1):
        for wait, variables in WAITS.items():
            with busy_cores(n_busy):
                output = subprocess.check_output(command, env={**usual, **variables})
            for name, (one, several) in json.loads(output).items():
                print(f"{n_busy} busy, {name}, {wait}: {one:.1f} {several:.1f} {several / one:.2f}", flush=True)


if __name__ == "__main__":
    main()
