"""The plan: how much of training each epoch is, so that it ends by itself and on time.

Training is a path from progress 0 to 1; the recipe says what the learning rate and the image size are at each point
of it. With a number of epochs, each is an equal part. With a time limit, every epoch asks again how many more will fit
into the time left, at the speed measured so far, and takes its part of the rest: a machine that slows down gets fewer
epochs, but the learning rate still falls to zero in time.
"""

import math
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from alexnet.data.batches.batches import count_steps
from alexnet.network.value.architecture import Architecture
from alexnet.training.choices.recipe import Recipe


@dataclass(frozen=True)
class Leg:
    """One epoch of the plan.

    Attributes:
        size: side of the images, in pixels.
        n_steps: steps it takes; fewer than all where the time is short.
        start: progress when it begins, a share in [0, 1].
        stop: progress when it ends.
    """

    size: int
    n_steps: int
    start: float
    stop: float

    def progress(self, step: float) -> float:
        """Return the progress after a number of its steps."""
        return self.start + (self.stop - self.start) * step / self.n_steps


@dataclass
class Pace:
    """How fast the machine is.

    Attributes:
        seconds: seconds an image, by image size.
        overhead: seconds an epoch that are not training.
    """

    seconds: dict[int, float] = field(default_factory=dict)
    overhead: float = 0.0

    def note(self, size: int, seconds: float) -> None:
        """Take in the seconds an image of one step; the last twenty or so count."""
        before = self.seconds.get(size, seconds)
        self.seconds[size] = before + 0.1 * (seconds - before)


@dataclass(kw_only=True)
class Plan:
    """What is left to do.

    Attributes:
        recipe: what decides sizes and learning rates along the way.
        architecture: the network; its ``image_size`` is the image size at the end.
        n_examples: training images.
        n_epochs: how many there are at most.
        deadline: when training must have ended, on ``time.monotonic``'s clock; none without a time limit.
        pace: how fast the machine is.
    """

    recipe: Recipe
    architecture: Architecture
    n_examples: int
    n_epochs: int
    deadline: float | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def n_steps(self) -> int:
        """Steps of a whole epoch."""
        return count_steps(self.n_examples, self.recipe.batch_size)

    def size_at(self, progress: float) -> int:
        """Return the image size for a share of training done; never one that the network cannot take."""
        net = self.architecture
        return max(self.recipe.size_at(progress, net.image_size), net.smallest_image_size)

    def next_leg(self, progress: float, epoch: int) -> Leg:
        """Return the leg that begins at ``progress``, after ``epoch`` epochs."""
        n_left = float(self.n_epochs - epoch)
        if self.deadline is not None:
            n_left = min(n_left, self.epochs_that_fit(self.deadline - time.monotonic(), progress))
        n_legs = max(1, math.ceil(n_left - 1e-6))
        n_steps = max(1, min(self.n_steps, round(self.n_steps * n_left / n_legs)))
        if n_legs == 1:  # whatever the recipe says: the network must have seen the size it will be used at
            return Leg(self.architecture.image_size, n_steps, progress, 1.0)
        # Rounded, so that after eight tenths of the way progress is 0.8 and not a hair below.
        stop = round(progress + (1 - progress) / n_legs, 9)
        return Leg(self.size_at(progress), n_steps, progress, stop)

    def epochs_that_fit(self, seconds: float, progress: float = 0.0) -> float:
        """Return how many epochs fit into the time if they are spread over the rest of the way."""
        n_points = 100
        points = [progress + (1 - progress) * (i + 0.5) / n_points for i in range(n_points)]
        share_at = Counter(self.size_at(point) for point in points)
        mean = sum(n / n_points * self.seconds_a_image(size) for size, n in share_at.items())
        return max(0.0, seconds) / (self.n_examples * mean + self.pace.overhead)

    def seconds_a_image(self, size: int) -> float:
        """Return the time that was measured, or follows from the nearest size that was, by the multiply-adds."""
        seen = self.pace.seconds
        if size in seen:
            return seen[size]
        nearest = min(seen, key=lambda other: abs(other - size))
        return seen[nearest] * self._work(size) / self._work(nearest)

    def _work(self, size: int) -> int:
        return replace(self.architecture, image_size=size).n_mult_adds

    def is_late(self) -> bool:
        """Return whether the time is up."""
        return self.deadline is not None and time.monotonic() > self.deadline

    def seconds_left(self, leg: Leg, step: int, epoch: int) -> float:
        """Return the expected time to the end of training."""
        seconds = (leg.n_steps - step) / self.n_steps * self.n_examples * self.seconds_a_image(leg.size)
        if leg.stop < 1:
            # How many epochs a second holds on the rest of the way says how long those left take.
            seconds += (self.n_epochs - epoch - 1) / self.epochs_that_fit(1.0, leg.stop)
        if self.deadline is not None:
            seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
        return seconds
