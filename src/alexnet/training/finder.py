"""The learning rate that suits: it grows step by step, and the loss tells when it is too high.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (2015), section 3.3. Departure: the rate grows
exponentially, as in fastai, and not linearly, so that each of five decades gets as many steps.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev

from alexnet.data.batches.batches import Batch
from alexnet.files.atomic import atomic_folder
from alexnet.training.learning.loop import batches, learn
from alexnet.training.learning.optimizer import set_lr
from alexnet.training.learning.state import Position, Training
from alexnet.training.plan import Leg

N_STEPS = 100
# The smoothed loss is a mean over about the last ten steps: half a decade of learning rates.
SMOOTHING = 0.9
# A smoothed loss of so many times the best one does not come back (fastai's number).
DIVERGED = 4.0
# Below this share of what it begins with, or of what guessing costs if that is less, the network learns.
LEARNT_SHARE = 0.98


@dataclass(frozen=True)
class Trial:
    """One step: its learning rate, the loss of its batch in nats, and the mean loss of about ten steps up to it."""

    lr: float
    loss: float
    smoothed: float


def find_lr(
    training: Training, *, n_steps: int = N_STEPS, lowest: float = 1e-5, highest: float = 1.0
) -> Iterator[Trial]:
    """Take steps at learning rates that grow from ``lowest`` to ``highest``; the network is spoilt by it.

    Images, their size and the batches are those of the beginning of training; where they are few, they come again.
    Ends early where the loss runs away. The same seed gives the same trials.
    """
    plan = training.plan
    leg = Leg(plan.size_at(0.0), plan.n_steps, 0.0, 1.0)
    mean, best = 0.0, math.inf
    training.step.network.train()
    for number, batch in zip(range(n_steps), _endless(training, leg), strict=False):
        lr = lowest * (highest / lowest) ** (number / (n_steps - 1))
        set_lr(training.step.optimizer, lr)
        loss = learn(training, batch).item() / batch.n_all
        training.position.step += 1
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (number + 1))  # as if the mean had not begun at zero
        if not math.isfinite(smoothed):
            return
        yield Trial(lr, loss, smoothed)
        best = min(best, smoothed)
        if smoothed > DIVERGED * best:
            return


def _endless(training: Training, leg: Leg) -> Iterator[Batch]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from batches(training, leg)
        training.position = Position(epoch=training.position.epoch + 1)


@dataclass(frozen=True)
class Finding:
    """What the trials tell.

    Attributes:
        lrs: the learning rates that were tried, rising.
        losses: of one batch at each, in nats.
        smoothed: the mean of about ten losses up to each, in nats.
        chance: the loss of guessing among the classes, in nats.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    chance: float

    @classmethod
    def of(cls, trials: Iterable[Trial], n_classes: int) -> "Finding":
        """Return what the trials of a network of ``n_classes`` tell."""
        rows = tuple(trials)
        return cls(
            tuple(trial.lr for trial in rows),
            tuple(trial.loss for trial in rows),
            tuple(trial.smoothed for trial in rows),
            math.log(n_classes),
        )

    @property
    def suggested(self) -> float | None:
        """The learning rate half-way down the longest fall of the smoothed loss; none where nothing was learnt.

        That is ``valley``, by which fastai suggests one unless told otherwise. Its others hang on a single step:
        ``steep`` on the steepest one, where noise is greatest, and ``minimum``, a tenth of the rate of the lowest loss,
        on where a flat one happens to be lowest. Easy images are learnt before any rate is too high, and then that
        is the last one. Measured with seed 0, in thousandths:

                                                      valley  minimum   steep
            test_finder.py, which learns at 3 to 30      5.3      100     0.6
            digits, 67 px, batches of 64                 3.0      3.9      19
            trashnet5, 128 px, batches of 64             6.7      4.9     6.7

        Source: Smith (2015), section 3.3, reads bounds off the curve: where it begins to fall, and where it no longer
        does; fastai, callback/schedule.py, ``valley``.
        """
        # The first steps say what the loss is while the rate is too low to matter, and how much that varies.
        n_first = max(2, len(self.lrs) // 10)
        if len(self.lrs) <= n_first:
            return None
        begin, noise = fmean(self.losses[:n_first]), stdev(self.losses[:n_first])
        lrs, smoothed = self.lrs[n_first:], self.smoothed[n_first:]
        if min(smoothed) >= min(LEARNT_SHARE * begin, begin - noise, LEARNT_SHARE * self.chance):
            return None
        n_fallen: list[int] = []  # steps of the longest fall that ends here, others between them left out
        for loss in smoothed:
            higher = (n for n, before in zip(n_fallen, smoothed, strict=False) if before > loss)
            n_fallen.append(1 + max(higher, default=0))
        longest = max(n_fallen)
        return lrs[n_fallen.index(longest) - longest // 2]


def save_plot(finding: Finding, folder: Path) -> Path:
    """Write a new folder with ``lr.csv`` and, where matplotlib is installed, ``lr.png``; return the latter's path.

    Without matplotlib, which ``pip install 'alexnet[plots]'`` brings, there is no image, and the table's path is
    returned.

    Raises:
        FileExistsError: something is there already. It is left as it is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    has_plots = find_spec("matplotlib") is not None
    with atomic_folder(folder) as unfinished:
        with (unfinished / "lr.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("lr", "loss", "smoothed"))
            writer.writerows(zip(finding.lrs, finding.losses, finding.smoothed, strict=True))
        if has_plots:
            _draw(finding, unfinished / "lr.png")
    return folder / ("lr.png" if has_plots else "lr.csv")


def _draw(finding: Finding, file: Path) -> None:
    from matplotlib.figure import Figure  # without pyplot, which would look for a screen

    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss (nats)")
    axes.plot(finding.lrs, finding.losses, color="0.75", linewidth=1, label="each batch")
    axes.plot(finding.lrs, finding.smoothed, color="tab:blue", linewidth=2, label="smoothed")
    if finding.smoothed:
        # What has run away would press all else flat.
        low, first = min(finding.losses), finding.smoothed[0]
        margin = max(first - low, 0.1 * first)
        axes.set_ylim(low - 0.1 * margin, first + 0.8 * margin)
    if finding.suggested is not None:
        words = f"suggested: {finding.suggested:.2g}"
        axes.axvline(finding.suggested, color="tab:orange", linestyle="--", label=words)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(file)
