"""The most important numbers of the recipe ``modern``, changed one at a time: what each is worth on ``val``."""

import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from alexnet.training.assembly import prepare_training
from alexnet.training.choices.recipe import Recipe
from alexnet.training.choices.recipes import RECIPES
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import EpochReport
from benchmarks.gpu.bench import Bench, Result, Scale, free_memory, note

# Fields of ``Recipe``, of its ``augmentation``, or of the network; and what each is multiplied by. Of a range, the
# lower end is multiplied.
SWEPT: dict[str, tuple[float, ...]] = {
    "lr": (0.5, 2),
    "augmentation.area": (0.5, 2),
    "dropout": (0, 0.5),
    "label_smoothing": (0, 2),
    "ema": (0.5, 2),
}
MARGIN = 1.1


def sweep(bench: Bench) -> Iterator[Result]:
    """Train trashnet5 with each change and compare with the recipe as it is: first all with one seed, then another."""
    data, scale = bench.trashnet(), bench.scale
    points = [("as it is", 1.0), *((name, factor) for name, factors in SWEPT.items() for factor in factors)]
    result: Result = {"epochs": scale.sweep_epochs, "runs": [], "skipped": []}
    longest = 0.0
    for seed, (name, factor) in product(range(scale.n_seeds[2]), points):
        if bench.left < MARGIN * longest + 1:
            result["skipped"].append(f"{name} x {factor:g}, seed {seed}")
            continue
        began = time.monotonic()
        settings, value = changed(scale, name, factor, seed)
        last = _train(bench, data, settings)
        if last is None:
            result["skipped"].append(f"{name} x {factor:g}, seed {seed}")
            continue
        longest = max(longest, time.monotonic() - began)
        run = {"changed": name, "factor": factor, "value": value, "seed": seed}
        result["runs"].append({**run, "val_top1": round(last.val_top1, 4), "val_loss": round(last.val_loss, 4)})
        note(f"sweep {result['runs'][-1]}")
        yield {**result, "means": _means(result["runs"])}
    yield {**result, "means": _means(result["runs"])}


def changed(scale: Scale, name: str, factor: float, seed: int) -> tuple[Settings, Any]:
    """Return settings in which one number of ``modern`` or of its network is multiplied, and its new value."""
    recipe, network, value = RECIPES["modern"], {}, None
    group, _, of_augmentation = name.partition(".")
    if group == "augmentation":
        value = _times(getattr(recipe.augmentation, of_augmentation), factor)
        recipe = replace(recipe, augmentation=replace(recipe.augmentation, **{of_augmentation: value}))
    elif name in {each.name for each in fields(Recipe)}:
        value = _times(getattr(recipe, name), factor)
        recipe = replace(recipe, **{name: value})
    elif name != "as it is":
        value = _times(getattr(scale.settings().network(), name), factor)
        network = {name: value}
    # Settings read their recipe when they are made.
    with patch.dict(RECIPES, {"modern": recipe}):
        return scale.settings(epochs=scale.sweep_epochs, seed=seed, **network), value


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        low, high = value
        return min(low * factor, high), high
    return value * factor


def _train(bench: Bench, data: Path, settings: Settings) -> EpochReport | None:
    """Train without a run folder; return the last epoch, or None if the time ended before it."""
    _, _, training = prepare_training(data, settings, began=time.monotonic())
    with closing(fit_steps(training)) as reports:  # type: ignore[type-var]
        for _ in reports:
            if bench.left < 0:
                break
    is_finished = training.position.progress >= 1 and training.position.leg is None
    last = training.history[-1] if is_finished else None
    del training
    free_memory()
    return last


def _means(runs: list[Result]) -> list[Result]:
    """Return the mean of each change over its seeds, and what it gains over the recipe as it is with these seeds."""
    points = dict.fromkeys((run["changed"], run["factor"]) for run in runs)
    plain = {run["seed"]: run for run in runs if run["changed"] == "as it is"}
    means = []
    for name, factor in points:
        some = [run for run in runs if (run["changed"], run["factor"]) == (name, factor)]
        gains = {
            f"{what}_gain": round(statistics.mean(run[what] - plain[run["seed"]][what] for run in some), 4)
            for what in ("val_top1", "val_loss")
        }
        top1 = round(statistics.mean(run["val_top1"] for run in some), 4)
        means.append({"changed": name, "factor": factor, "n_seeds": len(some), "val_top1": top1, **gains})
    return means
