"""Throughput on a busy machine: with one thread and with several, which wait actively or passively.

    python -m benchmarks.busy [--rounds 3] [--seconds 4]

Trains ``small`` at 32 px and ``batchnorm`` at 99 px on digits in float32, with the loop of ``alexnet train``, and
predicts with ``batchnorm`` at 99 px. Each side runs in its own process, in turns: alone, and beside a process that
keeps one core busy. *active* is the default of OpenMP, *passive* is ``OMP_WAIT_POLICY=PASSIVE``. *chosen* is what
``alexnet`` does: passive, and in training with the number of threads that it measures. Prints the medians of images/s,
and of their ratios to those of one thread in the same round.
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

from alexnet.data.parallel import n_cores
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store.store import prepare, store_size
from alexnet.network.module.model import AlexNet
from alexnet.network.value.variants import resolve
from alexnet.training.assembly import assemble
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import StepReport
from alexnet.training.machine.runtime import detect
from benchmarks.training import describe

N_WARM_UP, BATCH, SIZE = 3, 64, 99
ALL, PASSIVE = {"OMP_NUM_THREADS": str(n_cores())}, {"OMP_WAIT_POLICY": "PASSIVE"}
SIDES = {"one": {"OMP_NUM_THREADS": "1"}, "active": ALL, "passive": {**ALL, **PASSIVE}, "chosen": PASSIVE}
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def train(settings: Settings) -> Generator[int]:
    """Train; yield the number of threads after each step."""
    source = open_source("set:digits")
    store = prepare(source, store_size(settings.image_size or SIZE))
    training = assemble(split(source, store, seed=0), store, settings, detect("cpu", "fp32"))
    training.plan = replace(training.plan, recipe=replace(training.plan.recipe, sizes=()))
    for report in fit_steps(training):
        if isinstance(report, StepReport):
            yield torch.get_num_threads()


def predict() -> Generator[int]:
    """Predict; yield the number of threads after each batch."""
    model = AlexNet(resolve("batchnorm", n_classes=10, image_size=SIZE)).eval()
    images = torch.zeros(BATCH, 3, SIZE, SIZE)
    with torch.inference_mode():
        while True:
            model(images)
            yield torch.get_num_threads()


def measure(steps: Generator[int], seconds: float) -> tuple[float, int]:
    """Return images/s and the number of threads. The last batch of an epoch, which is smaller, counts as a full one."""
    n_threads = [next(steps) for _ in range(N_WARM_UP)][-1]
    began, n_steps = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        next(steps)
        n_steps += 1
    steps.close()
    return n_steps * BATCH / passed, n_threads


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
    """Run all sides in turns; or measure in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        small = Settings(variant="small", image_size=32, batch_size=BATCH, epochs=200)
        batchnorm = replace(small, variant="batchnorm", image_size=SIZE)
        work = {"small": train(small), "batchnorm": train(batchnorm), "predict": predict()}
        print(json.dumps({name: measure(steps, given.seconds) for name, steps in work.items()}))
        return
    print(f"{describe(detect('cpu', 'fp32'))}; images/s, medians of {given.rounds} rounds", flush=True)
    command = [sys.executable, "-m", "benchmarks.busy", "--here", "--seconds", str(given.seconds)]
    usual = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    for n_busy in (0, 1):
        rounds = []
        for _ in range(given.rounds):
            with busy_cores(n_busy):
                done = {side: subprocess.check_output(command, env={**usual, **SIDES[side]}) for side in SIDES}
            rounds.append({side: json.loads(output) for side, output in done.items()})
        for name in rounds[0]["one"]:
            print(f"{n_busy} busy, {name}:", end="")
            for side in SIDES:
                rate = statistics.median(each[side][name][0] for each in rounds)
                ratio = statistics.median(each[side][name][0] / each["one"][name][0] for each in rounds)
                print(f"  {side} {rate:.1f} ({ratio:.2f})", end="")
            print(f"  threads chosen: {[each['chosen'][name][1] for each in rounds]}", flush=True)


if __name__ == "__main__":
    main()
