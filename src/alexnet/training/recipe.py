"""A recipe is everything that decides how a network learns, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from alexnet.data.augmentation import Augmentation
from alexnet.errors import SettingsError

RecipeName = Literal["modern"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network learns.

    Raises:
        SettingsError: a number outside of its range.
    """

    name: RecipeName
    epochs: int
    """Passes over the training pictures; with a time limit the clock decides instead."""
    batch_size: int
    """Pictures a step."""
    lr: float
    """Peak learning rate, for ``batch_size`` pictures a step."""
    momentum: float
    """Nesterov momentum, in [0, 1). Section 5 has 0.9, without Nesterov's look ahead."""
    weight_decay: float
    """Shrinks weights at each step; never norms or biases. Section 5."""
    label_smoothing: float
    """Share of each label spread over all classes, in [0, 1)."""
    warm_up: float
    """Share of training in which the learning rate climbs to its peak; it then falls to zero in a straight line."""
    sizes: tuple[tuple[float, int], ...]
    """Progressive picture sizes: (until this share of training, no more than this many pixels); then the final size."""
    augmentation: Augmentation
    """How pictures are varied."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SettingsError(f"epochs is {self.epochs}; it must be at least 1")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size is {self.batch_size}; batch norm needs at least 2 pictures a step")
        if not 0 < self.lr < float("inf"):
            raise SettingsError(f"lr is {self.lr}; it must be above 0, for instance 0.02")

    def size_at(self, progress: float, final_size: int) -> int:
        """Return the picture size in pixels for a share of training done, in [0, 1]."""
        return min(final_size, next((size for until, size in self.sizes if progress < until), final_size))

    def lr_at(self, progress: float) -> float:
        """Return the learning rate for a share of training done, in [0, 1]."""
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        return self.lr * (1 - progress) / (1 - self.warm_up)


MODERN = Recipe(
    name="modern",
    epochs=40,
    batch_size=64,
    lr=0.02,
    momentum=0.9,
    weight_decay=5e-4,
    label_smoothing=0.1,
    warm_up=0.1,
    sizes=((0.6, 128), (0.8, 160)),
    augmentation=Augmentation(crop="resized", area=(0.35, 1.0), aspect=4 / 3, flip=True),
)

RECIPES: dict[RecipeName, Recipe] = {"modern": MODERN}


def change(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    augmentation: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return a recipe with the common changes made. A learning rate that is not given follows the batch size.

    Args:
        recipe: what to change.
        epochs: passes over the training pictures.
        batch_size: pictures a step.
        lr: peak learning rate.
        augmentation: fields of ``Augmentation`` to change; those that are None stay.
    """
    if batch_size is not None:
        recipe = replace(recipe, batch_size=batch_size, lr=recipe.lr * batch_size / recipe.batch_size)
    if lr is not None:
        recipe = replace(recipe, lr=lr)
    if epochs is not None:
        recipe = replace(recipe, epochs=epochs)
    changes = {name: value for name, value in (augmentation or {}).items() if value is not None}
    return replace(recipe, augmentation=replace(recipe.augmentation, **changes))
