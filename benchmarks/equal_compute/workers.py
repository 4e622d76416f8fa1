"""Processes that share the device, and train one arm after the other."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from queue import Empty
from typing import Any

import torch
from torch import multiprocessing

from benchmarks.equal_compute.images import load
from benchmarks.equal_compute.tables import Trial
from benchmarks.equal_compute.training import train

Result = dict[str, Any]


def run(trials: list[Trial], data: Path, n_workers: int, seconds: float) -> Iterator[Result]:
    """Run the trials in several processes; yield each result when it is there, until the time is up.

    Args:
        trials: what to train.
        data: the folder with the sets of images.
        n_workers: number of processes.
        seconds: for everything, the start of the processes included.
    """
    deadline = time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    todo, results = context.Queue(), context.Queue()
    todo.cancel_join_thread()  # else what nobody has taken would block the end of this process
    for each in [*trials, *[None] * n_workers]:
        todo.put(each)
    names = sorted({arm.images for _, _, arm in trials})
    workers = [context.Process(target=_work, args=(todo, results, data, names), daemon=True) for _ in range(n_workers)]
    for worker in workers:
        worker.start()
    try:
        n_left = len(trials)
        while n_left and time.monotonic() < deadline:
            # Of no use to wait when all have died.
            if not any(worker.is_alive() for worker in workers) and results.empty():
                return
            try:
                yield results.get(timeout=1)
                n_left -= 1
            except Empty:
                continue
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _work(todo: Any, results: Any, data: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sets = {name: load(data, name, device) for name in names}
    while (trial := todo.get()) is not None:
        name, seed, arm = trial
        result: Result = {"arm": name, "seed": seed}
        try:
            result |= {key: round(value, 4) for key, value in asdict(train(arm, seed, sets[arm.images])).items()}
        except Exception as error:  # the other arms can still run
            result["error"] = f"{type(error).__name__}: {error}"
        results.put(result)
