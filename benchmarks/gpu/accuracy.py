"""CIFAR-10 to its end, and the time to an accuracy on trashnet5."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import torch

from alexnet.evaluation.scoring import evaluate
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.reports import EpochReport
from alexnet.training.machine.runtime import detect
from alexnet.training.session import Session
from benchmarks.gpu.bench import Bench, Result, free_memory, note
from benchmarks.gpu.throughput import SIZE
from benchmarks.time_to_accuracy import SIDES, Clock, Test, ours, usual
from benchmarks.training import synchronise

# The article's network is the default one, also for small images.
CIFAR_RUNS: dict[str, dict[str, Any]] = {"article": {"recipe": "article", "variant": "batchnorm"}, "modern": {}}
# A run needs at most this much more time than the longest one before it.
MARGIN = 1.1


def cifar(bench: Bench) -> Iterator[Result]:
    """Train CIFAR-10 to the end with both recipes and their own numbers of epochs, one seed after the other."""
    data, scale = bench.cifar(), bench.scale
    result: Result = {"data": data.name, "runs": [], "skipped": []}
    longest = dict.fromkeys(CIFAR_RUNS, 0.0)
    for seed, (name, changes) in product(range(scale.n_seeds[0]), CIFAR_RUNS.items()):
        if bench.left < MARGIN * longest[name] + 1:
            result["skipped"].append(f"{name}, seed {seed}")
            continue
        began = time.monotonic()
        run = _train(bench, data, scale.settings(**changes, seed=seed))
        longest[name] = max(longest[name], time.monotonic() - began)
        result["runs"].append({"recipe": name, "seed": seed, **run})
        note(f"cifar {result['runs'][-1]}")
        yield result
    yield result


def _train(bench: Bench, data: Path, settings: Settings) -> Result:
    """Train to the end and evaluate on ``test``; or to the end of the time, without a test."""
    folder, began = bench.work / "run", time.monotonic()
    epochs: list[EpochReport] = []
    session = Session.start(data, folder, settings)
    training = session.training
    try:
        with closing(session.reports()) as reports:  # type: ignore[type-var]
            for report in reports:
                epochs += [report] if isinstance(report, EpochReport) else []
                if bench.left < 0:
                    break
        seconds, is_finished = time.monotonic() - began, session.run.is_finished
        return {
            "variant": training.plan.architecture.variant,
            "image_size": training.plan.architecture.image_size,
            "n_train": len(training.train),
            "epochs": len(epochs),
            "is_finished": is_finished,
            "seconds": round(seconds, 1),
            "val_top1": round(epochs[-1].val_top1, 4) if epochs else None,
            "test_top1": round(evaluate(folder, split="test").scores.top1, 4) if is_finished else None,
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        free_memory()


def trashnet(bench: Bench) -> Iterator[Result]:
    """Measure the seconds until top-1 on ``test`` reaches the target, as ``benchmarks.time_to_accuracy`` does.

    All runs are in this process, so the start of CUDA does not count. A run that the end of the time stopped counts
    neither in the medians nor in the ratios.
    """
    data, scale = bench.trashnet(), bench.scale
    size = scale.image_size or SIZE
    n_epochs = {"ours": scale.ours_epochs, "usual": scale.usual_epochs}
    result: Result = {"target": scale.target, "image_size": size, "epochs": n_epochs, "runs": [], "skipped": []}
    torch.zeros(1, device=detect().device)
    tests = {side: Test.of(data, size, side) for side in SIDES}
    longest = dict.fromkeys(n_epochs, 0.0)
    for seed, side in product(range(scale.n_seeds[1]), n_epochs):
        if bench.left < MARGIN * longest[side] + 1:
            result["skipped"].append(f"{side}, seed {seed}")
            continue
        began = time.monotonic()
        run = _reach(bench, data, size, side, seed, n_epochs[side], tests[side])
        longest[side] = max(longest[side], time.monotonic() - began)
        result["runs"].append(run)
        note(f"trashnet {run}")
        yield {**result, **_summary(result["runs"])}
    yield {**result, **_summary(result["runs"])}


def _reach(bench: Bench, data: Path, size: int, side: str, seed: int, n_epochs: int, test: Test) -> Result:
    """Train one side with one seed until it reaches the target, its last epoch, or the end of the time."""
    train = {"ours": ours, "usual": usual}[side]
    best, epoch, is_reached, is_stopped = 0.0, 0, False, False
    with _own_cache():
        clock = Clock()
        with closing(train(data, size, seed, n_epochs)) as snapshots:
            for snapshot in snapshots:
                if is_stopped := bench.left < 0:
                    break
                if snapshot.is_epoch:
                    synchronise()
                    with clock.paused():
                        epoch, top1 = snapshot.epoch, test.top1(snapshot.network)
                    best = max(best, top1)
                    if is_reached := top1 >= bench.scale.target:
                        break
            seconds = clock.seconds
    free_memory()
    return {
        "side": side,
        "seed": seed,
        "seconds": round(seconds, 2),
        "is_reached": is_reached,
        "is_stopped": is_stopped,
        "epochs": epoch,
        "best_top1": round(best, 4),
    }


@contextmanager
def _own_cache() -> Iterator[None]:
    """Restore the cache folder, which ``ours`` changes."""
    before = os.environ["ALEXNET_CACHE"]
    try:
        yield
    finally:
        os.environ["ALEXNET_CACHE"] = before


def _summary(runs: list[Result]) -> Result:
    """Return median seconds of each side, and the ratios of the seeds that both have; bounds where not reached."""
    ended = {
        side: {run["seed"]: run for run in runs if run["side"] == side and not run["is_stopped"]} for side in SIDES
    }
    median_seconds, n_reached = {}, {}
    for side, of_side in ended.items():
        if of_side:
            median_seconds[side] = statistics.median(run["seconds"] for run in of_side.values())
            n_reached[side] = sum(run["is_reached"] for run in of_side.values())
    ratios = [
        round(ended["usual"][seed]["seconds"] / run["seconds"], 2)
        for seed, run in ended["ours"].items()
        if run["is_reached"] and seed in ended["usual"]
    ]
    return {
        "median_seconds": median_seconds,
        "n_reached": n_reached,
        "ratios": ratios,
        "median_ratio": round(statistics.median(ratios), 2) if ratios else None,
        # Where usual did not reach the target, its seconds and the ratio are lower bounds.
        "ratio_is_bound": not all(run["is_reached"] for run in ended["usual"].values()),
    }
