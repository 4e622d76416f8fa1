"""The learning rate range test: raise the learning rate at each step until the loss diverges.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (2015), section 3.3. Departure: the rate grows
exponentially, as in fastai, not linearly: each of the five decades gets the same number of steps.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from alexnet.data.batches.batches import Batch
from alexnet.files.atomic import atomic_folder
from alexnet.training.learning.loop import remaining_batches, train_step
from alexnet.training.learning.optimizer import set_lr
from alexnet.training.learning.state import Position, Training
from alexnet.training.plan import PlannedEpoch

N_STEPS = 100
# The smoothed loss is a mean over about ten steps: half a decade of learning rates.
SMOOTHING = 0.9
# The loss has diverged if the smoothed loss is this many times its minimum (fastai's number).
DIVERGED = 4.0
# The network learns if the loss falls below this share of its first value, and of the loss of guessing.
LEARNT_SHARE = 0.98


@dataclass(frozen=True)
class Trial:
    """One step: learning rate, loss of the batch in nats, and mean loss of about the last ten steps."""

    lr: float
    loss: float
    smoothed: float


def find_lr(
    training: Training, *, n_steps: int = N_STEPS, lowest: float = 1e-5, highest: float = 1.0
) -> Iterator[Trial]:
    """Take steps at learning rates from ``lowest`` to ``highest``; the network cannot be used afterwards.

    Batches and image size are those at the start of training, for as many epochs as needed. Ends early if the loss
    diverges. The same seed gives the same trials.
    """
    with training.runtime.threads():
        yield from _try_rates(training, n_steps, lowest, highest)


def _try_rates(training: Training, n_steps: int, lowest: float, highest: float) -> Iterator[Trial]:
    plan = training.plan
    planned = PlannedEpoch(plan.size_at(0.0), plan.n_steps, 0.0, 1.0)
    mean, best = 0.0, math.inf
    training.step.network.train()
    for number, batch in zip(range(n_steps), _endless_batches(training, planned), strict=False):
        lr = lowest * (highest / lowest) ** (number / (n_steps - 1))
        set_lr(training.step.optimizer, plan.recipe.constant(lr), 0.0)
        loss = train_step(training, batch, 0.0).item() / batch.n_all
        training.position.step += 1
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (number + 1))  # corrects the start at zero
        if not math.isfinite(smoothed):
            return
        yield Trial(lr, loss, smoothed)
        best = min(best, smoothed)
        if smoothed > DIVERGED * best:
            return


def _endless_batches(training: Training, planned: PlannedEpoch) -> Iterator[Batch]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from remaining_batches(training, planned)
        training.position = Position(epoch=training.position.epoch + 1)


@dataclass(frozen=True)
class LRCurve:
    """The loss over the learning rate.

    Attributes:
        lrs: the learning rates, rising.
        losses: loss of one batch at each, in nats.
        smoothed: mean of about ten losses up to each, in nats.
        chance: loss of guessing, in nats.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    chance: float

    @classmethod
    def of(cls, trials: Iterable[Trial], n_classes: int) -> "LRCurve":
        """Return the curve of trials with ``n_classes`` classes."""
        rows = tuple(trials)
        return cls(
            tuple(trial.lr for trial in rows),
            tuple(trial.loss for trial in rows),
            tuple(trial.smoothed for trial in rows),
            math.log(n_classes),
        )

    @property
    def suggested(self) -> float | None:
        """The learning rate half-way down the longest fall of the smoothed loss; None if nothing was learned.

        This is ``valley``, fastai's default. The others depend on a single step: ``steep`` on the steepest one, where
        noise is greatest, and ``minimum``, a tenth of the rate at the lowest loss, on the lowest point of a flat curve.
        Easy images are learned before any rate is too high; then that point is the last one. Measured with seed 0, in
        thousandths:

                                                      valley  minimum   steep
            test_finder.py, which learns at 3 to 30      5.3      100     0.6
            digits, 67 px, batches of 64                 3.0      3.9      19
            trashnet5, 128 px, batches of 64             6.7      4.9     6.7

        Source: Smith (2015), section 3.3, reads two bounds off the curve: where the loss starts to fall, and where it
        stops; fastai, callback/schedule.py, ``valley``.
        """
        # The rates of the first steps are too low to learn: they give the initial loss and its noise.
        n_first = max(2, len(self.lrs) // 10)
        if len(self.lrs) <= n_first:
            return None
        begin, noise = fmean(self.losses[:n_first]), stdev(self.losses[:n_first])
        lrs, smoothed = self.lrs[n_first:], self.smoothed[n_first:]
        if min(smoothed) >= min(LEARNT_SHARE * begin, begin - noise, LEARNT_SHARE * self.chance):
            return None
        n_fallen: list[int] = []  # at each step, the length of the longest falling subsequence that ends there
        for loss in smoothed:
            higher = (n for n, before in zip(n_fallen, smoothed, strict=False) if before > loss)
            n_fallen.append(1 + max(higher, default=0))
        longest = max(n_fallen)
        return lrs[n_fallen.index(longest) - longest // 2]


def save_plot(curve: LRCurve, folder: Path) -> Path:
    """Write a new folder with ``lr.csv`` and ``lr.png``; return the path of ``lr.png``.

    Raises:
        FileExistsError: the folder exists already. It is left unchanged.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder) as unfinished:
        with (unfinished / "lr.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("lr", "loss", "smoothed"))
            writer.writerows(zip(curve.lrs, curve.losses, curve.smoothed, strict=True))
        _draw(curve, unfinished / "lr.png")
    return folder / "lr.png"


def _draw(curve: LRCurve, file: Path) -> None:
    from matplotlib.figure import Figure  # not pyplot, which looks for a display

    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss (nats)")
    axes.plot(curve.lrs, curve.losses, color="0.75", linewidth=1, label="each batch")
    axes.plot(curve.lrs, curve.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    if curve.smoothed:
        # Without the diverged end, which would flatten the rest.
        low, first = min(curve.losses), curve.smoothed[0]
        margin = max(first - low, 0.1 * first)
        axes.set_ylim(low - 0.1 * margin, first + 0.8 * margin)
    if curve.suggested is not None:
        label = f"suggested: {curve.suggested:.2g}"
        axes.axvline(curve.suggested, color="tab:orange", linestyle="--", label=label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(file)
