"""What a recipe is: all that decides how a network learns, as one frozen value. ``recipes`` has those we offer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from alexnet.data.batches.augmentation import Augmentation
from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Initialisation
from alexnet.network.value.checks import check_choice

RecipeName = Literal["modern", "paper", "article"]
Schedule = Literal["linear", "steps", "constant"]
# An epoch has at least 16 steps to learn in, as long as a batch has 16 images: fewer make batch norm noise.
SMALLEST_AUTO_BATCH, STEPS_AN_EPOCH = 16, 16


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network learns.

    Raises:
        SettingsError: a number outside of its range.
    """

    name: RecipeName
    epochs: int
    """Passes over the training images; with a time limit the clock decides instead."""
    batch_size: int
    """Images a step."""
    batch_follows: bool = False
    """Whether the batch size, and the learning rate with it, follows the number of images and the device."""
    lr: float
    """Peak learning rate, for ``batch_size`` images a step."""
    schedule: Schedule = "linear"
    """``linear``: up to the peak, then straight down to zero. ``steps``: divided by 10 at each of ``milestones``."""
    warm_up: float = 0.0
    """Share of training in which a linear schedule climbs to its peak."""
    milestones: tuple[float, ...] = ()
    """Shares of training after which a schedule of steps divides the learning rate by 10."""
    momentum: float = 0.9
    """In [0, 1). Section 5."""
    nesterov: bool = True
    """Whether the momentum looks ahead (Nesterov, 1983); the paper's does not."""
    weight_decay: float = 5e-4
    """Shrinks weights at each step. Section 5."""
    decay_all: bool = False
    """Whether weight decay acts on norms and biases too, as in the paper."""
    label_smoothing: float = 0.0
    """Share of each label spread over all classes, in [0, 1)."""
    clip_norm: float = 0.0
    """Longest gradient, as the norm over all weights; longer ones are shortened. 0 for any length."""
    ema: float = 0.0
    """The weights kept are a mean over about this share of the training done so far, in [0, 1). 0 for the last ones."""
    initialisation: Initialisation | None = None
    """How weights begin, where the recipe has its own way; none: the network's."""
    image_size: int | None = None
    """Side of the images in pixels, where the recipe has one of its own; none: the variant's."""
    sizes: tuple[tuple[float, float], ...] = ()
    """Progressive image sizes: (until this share of training, this share of the final size); then the final size."""
    augmentation: Augmentation
    """How images are varied."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SettingsError(f"epochs is {self.epochs}; it must be at least 1")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size is {self.batch_size}; batch norm needs at least 2 images a step")
        if not 0 < self.lr < float("inf"):
            raise SettingsError(f"lr is {self.lr}; it must be above 0, for instance 0.02")
        for name in ("weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("momentum", "label_smoothing", "ema", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it is a share, from 0 to below 1")
        check_choice("schedule", self.schedule, get_args(Schedule))
        if self.initialisation is not None:
            check_choice("initialisation", self.initialisation, get_args(Initialisation))
        for name, rising in (("milestones", self.milestones), ("sizes", tuple(until for until, _ in self.sizes))):
            if not all(0 < share < 1 for share in rising) or any(a >= b for a, b in pairwise(rising)):
                raise SettingsError(f"{name} are at {rising}; they must be shares of training that rise from 0 to 1")
        if not all(0 < share <= 1 for _, share in self.sizes):
            raise SettingsError(f"sizes are {self.sizes}; the second of each must be a share of the final size")

        if (self.milestones and self.schedule != "steps") or (self.warm_up and self.schedule != "linear"):
            raise SettingsError(f"a {self.schedule} schedule has no use for milestones of steps, or for a warm-up")

    def size_at(self, progress: float, final_size: int) -> int:
        """Return the image size in pixels for a share of training done, in [0, 1]: a multiple of 4, or the final."""
        share = next((share for until, share in self.sizes if progress < until), 1.0)
        return min(final_size, max(4, round(share * final_size / 4) * 4)) if share < 1 else final_size

    def lr_at(self, progress: float) -> float:
        """Return the learning rate for a share of training done, in [0, 1]."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "steps":
            return float(self.lr / 10 ** sum(progress >= milestone for milestone in self.milestones))
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        return self.lr * (1 - progress) / (1 - self.warm_up)

    def for_batches_of(self, n: int) -> "Recipe":
        """Return the recipe for ``n`` images a step; the learning rate grows in proportion."""
        return replace(self, batch_size=n, lr=self.lr * n / self.batch_size)

    def following(self, n_examples: int, largest: int) -> "Recipe":
        """Return the recipe with the batch size that suits the data, where it is left to the data.

        Few images make small batches, so that an epoch has steps enough to learn in: at least ``STEPS_AN_EPOCH``.

        Args:
            n_examples: training images.
            largest: images a step at most, as the device likes them.
        """
        if not self.batch_follows:
            return self
        n = largest
        while n > SMALLEST_AUTO_BATCH and n * STEPS_AN_EPOCH > n_examples:
            n = max(SMALLEST_AUTO_BATCH, n // 2)
        return self.for_batches_of(n)


def change(
    recipe: Recipe,
    *,
    batch_size: int | None = None,
    lr: float | None = None,
    augmentation: Mapping[str, Any] | None = None,
    **numbers: float | None,
) -> Recipe:
    """Return a recipe with the common changes made. A learning rate that is not given follows the batch size.

    Args:
        recipe: what to change.
        batch_size: images a step; from then on it follows neither data nor device.
        lr: peak learning rate, for this batch size.
        augmentation: fields of ``Augmentation`` to change; those that are None stay.
        numbers: other fields of ``Recipe``; those that are None stay.
    """
    if batch_size is not None:
        if batch_size < 2:  # before anything is multiplied by it
            raise SettingsError(f"batch_size is {batch_size}; batch norm needs at least 2 images a step")
        recipe = replace(recipe.for_batches_of(batch_size), batch_follows=False)
    if lr is not None:
        recipe = replace(recipe, lr=lr)
    known = {field.name for field in fields(Recipe)}
    assert set(numbers) <= known, set(numbers) - known
    given = {name: value for name, value in numbers.items() if value is not None}
    varied = {name: value for name, value in (augmentation or {}).items() if value is not None}
    return replace(recipe, augmentation=replace(recipe.augmentation, **varied), **given)  # type: ignore[arg-type]
