"""Plots of stored runs: curves by epoch, the figures of all arms, the kernels."""

import base64
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Page
from PIL import Image

from alexnet.reproduction.findings.stored import Runs, over_seeds
from alexnet.reproduction.plan.value import Experiment
from alexnet.training.run.curves import BLUE, GREEN, GREY, STYLE, VERMILION, as_svg

COLOURS = (BLUE, VERMILION, GREEN, GREY)
KERNEL_FACTOR = 4
Wanted = tuple[str, str]


def plot(experiment: Experiment, runs: Runs, folder: Path, name: str) -> str | None:
    """Write the plot of an experiment into a folder; return its file name, or None where there is nothing to draw."""
    present = {arm: by_seed for arm, by_seed in runs.items() if by_seed}
    if not present or not experiment.plot:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if experiment.plot == "kernels":
        run = next((run for by_seed in present.values() for run in by_seed.values() if "kernels" in run), None)
        if run is None:
            return None
        with Image.open(io.BytesIO(base64.b64decode(run["kernels"]))) as image:
            size = (image.width * KERNEL_FACTOR, image.height * KERNEL_FACTOR)
            image.resize(size, Image.Resampling.NEAREST).save(folder / f"{name}.png", optimize=True)
        return f"{name}.png"
    with _axes() as (page, axes):
        if experiment.plot == "arms":
            page.set_size_inches(6.4, 0.8 + 0.4 * len(present))
            _draw_arms(experiment, present, axes)
        else:
            _draw_curves(experiment.plot, present, axes)
        (folder / f"{name}.svg").write_text(as_svg(page), encoding="utf-8")
    return f"{name}.svg"


@contextmanager
def _axes() -> Iterator[tuple[Page, Axes]]:
    with style.context(["default", STYLE]):
        page = Page(figsize=(6.4, 3.6), layout="constrained")
        yield page, page.subplots()


def _draw_curves(curve: str, runs: Runs, axes: Axes) -> None:
    """Draw a curve for each run, in the colour of its arm."""
    for colour, (arm, by_seed) in zip(COLOURS * len(runs), runs.items(), strict=False):
        for number, run in enumerate(by_seed.values()):
            points = [point for point in run["curve"] if curve in point]
            epochs = [point["epoch"] for point in points]
            values = [point[curve] for point in points]
            axes.plot(epochs, values, color=colour, linewidth=1, label=arm if number == 0 else None)
    axes.set(xlabel="epoch", ylabel=curve.replace("train_", "training "))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_arms(experiment: Experiment, runs: Runs, axes: Axes) -> None:
    """Draw the first figure of each arm: a point a seed, and the mean with its interval."""
    figure = experiment.figures[0]
    for row, by_seed in enumerate(runs.values()):
        found = over_seeds(figure, by_seed)
        if found is None:
            continue
        mean, low, high, *_ = found
        values = [float(run["figures"].get(figure.name, math.nan)) for run in by_seed.values()]
        axes.plot(values, [row] * len(values), ".", color=GREY)
        if math.isfinite(high):
            axes.plot([low, high], [row, row], color=BLUE, linewidth=2)
        axes.plot([mean], [row], "o", color=BLUE)
    axes.set_yticks(np.arange(len(runs)), list(runs))
    axes.invert_yaxis()
    axes.set_xlabel(figure.words)
