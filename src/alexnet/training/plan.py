"""The plan: how much of training each epoch covers, so that training ends on time.

Progress goes from 0 to 1. The recipe gives the learning rate and the image size at each point. With a fixed number of
epochs, each epoch covers an equal part. With a time limit, the plan is updated before each epoch: it estimates how
many more epochs fit into the time left, at the speed measured so far, and gives the next one its share of the
remaining progress. A machine that slows down gets fewer epochs, but the learning rate still falls to zero in time.
"""

import math
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count, takewhile

from alexnet.data.batches.batches import count_steps
from alexnet.network.value.architecture import Architecture
from alexnet.training.choices.recipe import Recipe


@dataclass(frozen=True)
class PlannedEpoch:
    """One epoch of the plan.

    Attributes:
        size: side of the images, in pixels.
        n_steps: number of steps; less than a full epoch if time is short.
        start: progress at its start, in [0, 1].
        stop: progress at its end, in [0, 1].
    """

    size: int
    n_steps: int
    start: float
    stop: float

    def progress(self, step: float) -> float:
        """Return the progress after ``step`` steps."""
        return self.start + (self.stop - self.start) * step / self.n_steps


def fitting_sizes(net: Architecture) -> list[int]:
    """Return the image sizes below the network's own at which every window fits, smallest first."""
    sizes = takewhile(lambda size: size < net.image_size, map(net.image_size_for, count(1)))
    return sorted(set(sizes))


@dataclass
class Timing:
    """Measured speed of the machine.

    Attributes:
        seconds: seconds per image, by image size.
        overhead: seconds per epoch for validation and saving.
    """

    seconds: dict[int, float] = field(default_factory=dict)
    overhead: float = 0.0

    def update(self, size: int, seconds: float) -> None:
        """Add the seconds per image of one step to a moving average over about twenty steps."""
        before = self.seconds.get(size, seconds)
        self.seconds[size] = before + 0.1 * (seconds - before)


@dataclass(kw_only=True)
class Plan:
    """The epochs that are left.

    Attributes:
        recipe: gives image sizes and learning rates.
        architecture: the network; its ``image_size`` is the final image size.
        n_examples: number of training images.
        n_epochs: maximum number of epochs.
        deadline: when training must end, on the clock of ``time.monotonic``; None without a time limit.
        timing: measured speed of the machine.
    """

    recipe: Recipe
    architecture: Architecture
    n_examples: int
    n_epochs: int
    deadline: float | None = None
    timing: Timing = field(default_factory=Timing)

    @property
    def n_steps(self) -> int:
        """Steps of a full epoch."""
        return count_steps(self.n_examples, self.recipe.batch_size)

    def size_at(self, progress: float) -> int:
        """Return the image size at a progress: the final size, or of the smaller ones that fit the nearest."""
        net = self.architecture
        wanted = self.recipe.size_at(progress, net.image_size)
        if wanted >= net.image_size:
            return wanted
        return min(fitting_sizes(net), key=lambda size: abs(size - wanted), default=net.image_size)

    def for_passes(self, n: float) -> "Plan":
        """Return the plan with the recipe for ``n`` passes over the training images, and with the network for it.

        The recipe may set its dropout, and give it a mean image. A network that has one keeps it.
        """
        recipe, net = self.recipe.for_passes(n), self.architecture
        dropout = net.dropout if recipe.dropout is None else recipe.dropout
        net = replace(net, dropout=dropout, mean_image=net.mean_image or recipe.mean_image)
        return replace(self, recipe=recipe, architecture=net)

    def next_epoch(self, progress: float, epoch: int) -> PlannedEpoch:
        """Plan the epoch that starts at ``progress``, after ``epoch`` epochs."""
        n_left = float(self.n_epochs - epoch)
        if self.deadline is not None:
            n_left = min(n_left, self.epochs_that_fit(self.deadline - time.monotonic(), progress))
        n_planned = max(1, math.ceil(n_left - 1e-6))
        n_steps = max(1, min(self.n_steps, round(self.n_steps * n_left / n_planned)))
        if n_planned == 1:  # always at the final size, whatever the recipe says: the network is used at that size
            return PlannedEpoch(self.architecture.image_size, n_steps, progress, 1.0)
        # Rounded: otherwise progress could be just below 0.8 after 8 of 10 epochs.
        stop = round(progress + (1 - progress) / n_planned, 9)
        return PlannedEpoch(self.size_at(progress), n_steps, progress, stop)

    def epochs_that_fit(self, seconds: float, progress: float = 0.0) -> float:
        """Return how many epochs fit into ``seconds`` if they are spread over the remaining progress."""
        n_points = 100
        points = [progress + (1 - progress) * (i + 0.5) / n_points for i in range(n_points)]
        share_at = Counter(self.size_at(point) for point in points)
        mean = sum(n / n_points * self.seconds_per_image(size) for size, n in share_at.items())
        return max(0.0, seconds) / (self.n_examples * mean + self.timing.overhead)

    def seconds_per_image(self, size: int) -> float:
        """Return the measured time, or an estimate from the nearest measured size and the multiply-adds."""
        measured = self.timing.seconds
        if size in measured:
            return measured[size]
        nearest = min(measured, key=lambda other: abs(other - size))
        return measured[nearest] * self._work(size) / self._work(nearest)

    def _work(self, size: int) -> int:
        return replace(self.architecture, image_size=size).n_mult_adds

    def is_late(self) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def seconds_left(self, planned: PlannedEpoch, step: int, epoch: int) -> float:
        """Return the expected seconds to the end of training."""
        seconds = (planned.n_steps - step) / self.n_steps * self.n_examples * self.seconds_per_image(planned.size)
        if planned.stop < 1:
            # 1 / (epochs per second) is the mean time of the remaining epochs.
            seconds += (self.n_epochs - epoch - 1) / self.epochs_that_fit(1.0, planned.stop)
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
        return seconds
