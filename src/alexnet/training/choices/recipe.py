"""A recipe: everything that decides how a network is trained, as one frozen value. ``recipes`` defines ours."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from alexnet.data.batches.augmentation import Augmentation
from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Initialisation
from alexnet.network.value.checks import check_choice

RecipeName = Literal["modern", "paper", "article", "original"]
Schedule = Literal["linear", "steps", "constant"]
OptimizerName = Literal["sgd", "muon"]
# Small data gets smaller batches, so that an epoch has at least 16 steps. Below 16 images, batch norm is too noisy.
SMALLEST_AUTO_BATCH, STEPS_PER_EPOCH = 16, 16


@dataclass(frozen=True, kw_only=True)
class FewPasses:
    """What a recipe uses where each image is seen only a few times: regularisation then costs more than it gains.

    Attributes:
        below: the number of passes over the training images below which it is used.
        dropout: share of the numbers at hidden layers that are dropped.
        area: share of an image that a random resized crop covers, from the smallest to the largest.
    """

    below: int
    dropout: float
    area: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class LayerRate:
    """A learning rate of a layer's own, from some point of training on.

    Attributes:
        layer: the layer, such as ``conv1``.
        of: whether it is that of its weights or of its biases.
        since: the progress from which it holds, in [0, 1).
        share: its share of the learning rate of all other weights, or biases. With 0 they stay as they are.
    """

    layer: str
    of: Literal["weights", "biases"]
    since: float
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.since < 1:
            raise SettingsError(f"since is {self.since} for {self.layer}; it is a share of training, below 1")
        if not 0 <= self.share < float("inf"):
            raise SettingsError(f"share is {self.share} for {self.layer}; it must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained.

    Raises:
        SettingsError: a number is out of range.
    """

    name: RecipeName
    epochs: int
    """Passes over the training images; with a time limit, as many as fit."""
    batch_size: int
    """Images per step."""
    batch_follows: bool = False
    """Whether batch size and learning rate are adapted to the number of images and the device."""
    optimizer: OptimizerName = "sgd"
    """``sgd`` for all weights, or ``muon`` for those of convolutions and SGD for the others."""
    lr: float
    """Peak learning rate, for ``batch_size`` images per step."""
    schedule: Schedule = "linear"
    """``linear``: warm-up, then linear decay to zero. ``steps``: divided by 10 at each of ``milestones``."""
    warm_up: float = 0.0
    """Share of training for the warm-up of a linear schedule."""
    milestones: tuple[float, ...] = ()
    """Shares of training after which a ``steps`` schedule divides the learning rate by 10."""
    bias_lr: float | None = None
    """Learning rate of all biases, for ``batch_size`` images per step: the same from start to end, whatever the
    schedule. None for that of the weights."""
    layer_rates: tuple[LayerRate, ...] = ()
    """Learning rates of single layers. Where several hold, the last one counts."""
    momentum: float = 0.9
    """In [0, 1). Section 5."""
    nesterov: bool = True
    """Whether to use Nesterov momentum (1983); the paper does not."""
    lr_inside_momentum: bool = False
    """Whether a gradient is multiplied by the learning rate of its own step, as in section 5: a lower learning rate
    then acts on new gradients only. Else the momentum too is multiplied by that of the present step, as in torch."""
    weight_decay: float = 5e-4
    """L2 penalty. Section 5."""
    decay_all: bool = False
    """Whether weight decay applies to norms and biases too, as in the paper."""
    label_smoothing: float = 0.0
    """Share of each label spread over all classes, in [0, 1)."""
    clip_norm: float = 0.0
    """Maximum norm of the gradient over all weights; 0 for no clipping."""
    ema: float = 0.0
    """Share of the training so far over which the saved weights are averaged, in [0, 1). 0 for the last weights."""
    initialisation: Initialisation | None = None
    """Initialisation of the weights; None for the network's own."""
    mean_image: bool = False
    """Whether the network subtracts the mean image of the training images, from pixels of 0 to 255 (section 2). Else
    pixels are normalised by a mean and a standard deviation of each channel."""
    image_size: int | None = None
    """Side of the images in pixels; None for the variant's."""
    sizes: tuple[tuple[float, float], ...] = ()
    """Progressive image sizes: (until this share of training, this share of the final size); then the final size."""
    dropout: float | None = None
    """Share of the numbers at hidden layers that are dropped; None for the network's."""
    few_passes: FewPasses | None = None
    """Other numbers for few passes; None for none."""
    augmentation: Augmentation
    """Augmentation of the training images."""
    colour_shift_until: float = 1.0
    """Share of training after which colours are no longer shifted."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SettingsError(f"epochs is {self.epochs}; it must be at least 1")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size is {self.batch_size}; batch norm needs at least 2 images a step")
        if not 0 < self.lr < float("inf"):
            raise SettingsError(f"lr is {self.lr}; it must be above 0, for instance 0.02")
        if self.bias_lr is not None and not 0 < self.bias_lr < float("inf"):
            raise SettingsError(f"bias_lr is {self.bias_lr}; it must be above 0, for instance 0.02")
        if not 0 <= self.colour_shift_until <= 1:
            raise SettingsError(f"colour_shift_until is {self.colour_shift_until}; it is a share of training, up to 1")
        for name in ("weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("momentum", "label_smoothing", "ema", "warm_up", "dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it is a share, from 0 to below 1")
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        if self.initialisation is not None:
            check_choice("initialisation", self.initialisation, get_args(Initialisation))
        for name, rising in (("milestones", self.milestones), ("sizes", tuple(until for until, _ in self.sizes))):
            if not all(0 < share < 1 for share in rising) or any(a >= b for a, b in pairwise(rising)):
                raise SettingsError(f"{name} are at {rising}; they must be rising shares of training between 0 and 1")
        if not all(0 < share <= 1 for _, share in self.sizes):
            raise SettingsError(f"sizes are {self.sizes}; the second number of each must be a share of the final size")

        if self.lr_inside_momentum and (self.optimizer != "sgd" or self.nesterov):
            has = "Nesterov momentum" if self.optimizer == "sgd" else f"the optimizer {self.optimizer!r}"
            raise SettingsError(
                f"recipe {self.name} has a momentum of its own, which needs plain SGD, not {has}; "
                "leave --optimizer out, or use another recipe"
            )
        if (self.milestones and self.schedule != "steps") or (self.warm_up and self.schedule != "linear"):
            raise SettingsError(
                f"schedule is {self.schedule!r}; milestones need the schedule 'steps', and a warm-up needs 'linear'"
            )

    def size_at(self, progress: float, final_size: int) -> int:
        """Return the image size in pixels at a progress in [0, 1]: a multiple of 4, or the final size."""
        share = next((share for until, share in self.sizes if progress < until), 1.0)
        return min(final_size, max(4, round(share * final_size / 4) * 4)) if share < 1 else final_size

    def augmentation_at(self, progress: float) -> Augmentation:
        """Return the augmentation at a progress in [0, 1]."""
        if progress < self.colour_shift_until or self.colour_shift_until == 1:
            return self.augmentation
        return replace(self.augmentation, colour_shift=0.0)

    def lr_of(self, layer: str, of: Literal["weights", "biases"], progress: float) -> float:
        """Return the learning rate of a layer's weights or biases at a progress in [0, 1]."""
        lr = self.bias_lr if of == "biases" and self.bias_lr is not None else self.lr_at(progress)
        rates = [each for each in self.layer_rates if (each.layer, each.of) == (layer, of) and progress >= each.since]
        return lr * rates[-1].share if rates else lr

    def lr_at(self, progress: float) -> float:
        """Return the learning rate at a progress in [0, 1]; of biases and layers with their own, see ``lr_of``."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "steps":
            return float(self.lr / 10 ** sum(progress >= milestone for milestone in self.milestones))
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        return self.lr * (1 - progress) / (1 - self.warm_up)

    def with_batch_size(self, n: int) -> "Recipe":
        """Return the recipe for ``n`` images per step, and the learning rate for them.

        SGD's is scaled in proportion. A step of Muon has the same length whatever the gradient, so its learning rate
        is scaled with the square root.
        """
        times = n / self.batch_size
        return replace(self, batch_size=n).with_lr(self.lr * (times if self.optimizer == "sgd" else times**0.5))

    def with_lr(self, lr: float) -> "Recipe":
        """Return the recipe with another peak learning rate; that of biases keeps its ratio to it."""
        return replace(self, lr=lr, bias_lr=None if self.bias_lr is None else self.bias_lr * (lr / self.lr))

    def constant(self, lr: float) -> "Recipe":
        """Return the recipe with a constant learning rate."""
        return replace(self.with_lr(lr), schedule="constant", warm_up=0.0, milestones=())

    def for_passes(self, n: float) -> "Recipe":
        """Return the recipe for ``n`` passes over the training images."""
        few = self.few_passes
        if few is None or n >= few.below:
            return replace(self, few_passes=None)
        return replace(
            self, few_passes=None, dropout=few.dropout, augmentation=replace(self.augmentation, area=few.area)
        )

    def for_data(self, n_examples: int, largest: int) -> "Recipe":
        """Return the recipe with the batch size adapted to the data, if ``batch_follows``.

        The batch size is halved until an epoch has at least ``STEPS_PER_EPOCH`` steps.

        Args:
            n_examples: number of training images.
            largest: largest batch size, which suits the device.
        """
        if not self.batch_follows:
            return self
        n = largest
        while n > SMALLEST_AUTO_BATCH and n * STEPS_PER_EPOCH > n_examples:
            n = max(SMALLEST_AUTO_BATCH, n // 2)
        return self.with_batch_size(n)


def change(
    recipe: Recipe,
    *,
    optimizer: OptimizerName | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    augmentation: Mapping[str, Any] | None = None,
    **numbers: Any,
) -> Recipe:
    """Return a changed recipe. Without ``lr``, the learning rate is scaled with the batch size.

    Args:
        recipe: the recipe to change.
        optimizer: the optimiser; it decides how the learning rate is scaled.
        batch_size: images per step; it is then no longer adapted to data and device.
        lr: peak learning rate for this batch size.
        augmentation: fields of ``Augmentation`` to change; None leaves a field unchanged.
        numbers: other fields of ``Recipe``; None leaves a field unchanged.
    """
    if optimizer is not None:
        recipe = replace(recipe, optimizer=optimizer)
    if batch_size is not None:
        if batch_size < 2:  # checked before the learning rate is multiplied by it
            raise SettingsError(f"batch_size is {batch_size}; batch norm needs at least 2 images a step")
        recipe = replace(recipe.with_batch_size(batch_size), batch_follows=False)
    if lr is not None:
        recipe = recipe.with_lr(lr)
    known = {field.name for field in fields(Recipe)}
    assert set(numbers) <= known, set(numbers) - known
    given = {name: value for name, value in numbers.items() if value is not None}
    changed = {name: value for name, value in (augmentation or {}).items() if value is not None}
    return replace(recipe, augmentation=replace(recipe.augmentation, **changed), **given)
