"""An experiment as a frozen value: a claim, the networks that are compared, and how. No torch here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from alexnet.network.value.architecture import Architecture

Scale = Literal["smoke", "cpu", "gpu"]
Measure = Literal["curve", "views", "kernels", "neighbours", "speed"]
"""What is measured beside the errors: on the whole training subset after each epoch; in ten views and as an ensemble;
the kernels of conv1; the neighbours by the last hidden layer; or how fast it trains, and nothing else."""


Weights = Literal["network", "recipe", "he"]
"""Random weights: those that the network names; those of the recipe; or those of He and others, 2015,
with the gain of the activation.

Departure: the paper draws N(0, 0.01). In networks as narrow as those of the experiments, signals would then vanish, and
with torch's own weights most of the few steps would pass before anything is learned.
"""


@dataclass(frozen=True, kw_only=True)
class Data:
    """The images of a run: subsets drawn with its seed, nested, so that a smaller one lies within a larger one."""

    name: Literal["cifar10", "trashnet5", "digits"]
    """Which set."""
    n_train: int | None = None
    """Images to train on; None for all."""
    n_val: int = 500
    """Images of ``val``, to choose with."""
    n_test: int | None = None
    """Images of ``test``; None for all."""
    side: int = 32
    """Side at which images are stored, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One side of a comparison: a network, its images and how it is trained."""

    name: str
    says: str
    """What distinguishes it, for the table."""
    network: Architecture
    data: Data
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Settings``: the recipe, and what differs from it."""
    milestones: tuple[float, ...] | None = None
    """Shares of training after which the rate is divided by 10; None for the recipe's.

    Departure: the recipe ``paper`` divides it after each quarter, which is too early where there are few epochs.
    """
    weights: Weights = "network"
    """Which random weights it begins with."""
    centre: bool = False
    """Whether images are evaluated by their centre crop of 7/8 of the side, as the paper does, instead of whole."""
    measures: tuple[Measure, ...] = ()
    n_networks: int = 1
    """How many networks are trained on the same images, with other random weights and batches, to be averaged."""
    stop_below: float | None = None
    """Ends the training when the error on the training images is below this share."""

    def to_json(self) -> dict[str, Any]:
        """Return all that decides what a run of it computes, JSON-ready; its name and words do not."""
        saved = asdict(self) | {"network": self.network.to_json(), "training": dict(self.training)}
        del saved["name"], saved["says"]
        return dict(json.loads(json.dumps(saved)))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting that each of some arms chooses for itself, by runs with a seed that no result has."""

    setting: str
    values: tuple[float, ...]
    arms: tuple[str, ...]
    by: "Figure"
    """The smaller the better. A run ends where it can no longer be the best."""
    seed: int = 100
    scales: tuple[Scale, ...] = ("smoke", "cpu", "gpu")
    """Where there is time to choose. Elsewhere arms have the setting that they name."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number of a run: the last of a curve, one of its figures, or where a curve falls to a level."""

    name: str
    """``test_error`` and so on; or, with ``level``, a curve such as ``train_error``."""
    level: float | None = None
    """Where given, the figure is the number of epochs until the curve is this low, interpolated."""
    words: str = ""
    """What it is, for tables."""
    is_share: bool = True
    """Whether it is shown in percent, and differences in points."""


TEST_ERROR = Figure(name="test_error", words="test error")
TRAIN_ERROR = Figure(name="train_error", words="training error")
VAL_ERROR = Figure(name="val_error", words="error on val")

Expected = Literal["higher", "equal"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One row of the table: a statement, and the two arms whose figures decide it.

    The effect is the figure of ``without`` less that of ``arm``, or with ``is_ratio`` divided by it.
    """

    says: str
    paper: str
    """The paper's figure, or a dash."""
    log: str
    """What the program's log has, or a dash."""
    without: str
    arm: str
    figure: Figure = TEST_ERROR
    other: Figure | None = None
    """The figure of ``arm``, where it is another one."""
    is_ratio: bool = False
    claimed: float | None = None
    """The paper's effect, as a share or a ratio; None where it gives none."""
    expected: Expected = "higher"
    """``higher``: the effect is above nothing. ``equal``: it is within ``margin`` of nothing."""
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A claim of the paper and the runs that test it.

    Attributes:
        name: as in ``alexnet reproduce NAME``.
        title: a heading.
        source: the section of the paper.
        worth: the order of running: 1 is first.
        claims: the rows of the table.
        arms: by scale, what is trained.
        seeds: by scale.
        seconds: by scale, the planned time of one core, or of the GPU; on the scale gpu it ends there.
        choice: a setting that is chosen first.
        notes: what a reader must know, in sentences.
        plot: the curve to draw, ``arms`` for the figures of all arms, ``kernels``, or nothing.
        figures: the columns of the arms' table.
    """

    name: str
    title: str
    source: str
    worth: int
    claims: tuple[Claim, ...]
    arms: Mapping[Scale, tuple[Arm, ...]]
    seeds: Mapping[Scale, tuple[int, ...]]
    seconds: Mapping[Scale, float]
    choice: Choice | None = None
    notes: str = ""
    plot: str = "arms"
    figures: tuple[Figure, ...] = (TEST_ERROR, TRAIN_ERROR)

    def arm(self, scale: Scale, name: str) -> Arm:
        """Return an arm by name."""
        return next(each for each in self.arms[scale] if each.name == name)
