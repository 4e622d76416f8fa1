"""Training as it stands: the network, what changes it, what it learns from, and how far it has come."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from alexnet.data.batches.examples import Examples
from alexnet.network.weights.loading import Loaded
from alexnet.training.learning.average import Average
from alexnet.training.learning.reports import EpochReport
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Leg, Plan


@dataclass
class Position:
    """How far training has come; with the weights and the momentum, all that a checkpoint needs.

    Attributes:
        epoch: epochs done.
        step: steps done in the epoch that has begun.
        leg: what the plan says of the epoch that has begun.
        progress: share of training done, in [0, 1].
        averaged: share of training done when weights were last averaged.
        lr: learning rate of the last step.
        loss_sum: loss of the epoch so far, summed over images.
        n_seen: images of the epoch so far.
        seconds: time of the epoch so far.
    """

    epoch: int = 0
    step: int = 0
    leg: Leg | None = None
    progress: float = 0.0
    averaged: float = 0.0
    lr: float = 0.0
    loss_sum: float = 0.0
    n_seen: int = 0
    seconds: float = 0.0


@dataclass
class Stop:
    """Whether training is to stop before its end.

    Attributes:
        signal: the signal by which somebody has asked this process to stop; anybody may set it at any time.
        agreed: whether all processes have stopped, after the same step.
    """

    signal: int | None = None
    agreed: bool = False


@dataclass(kw_only=True)
class Training:
    """A network being trained.

    Attributes:
        model: the network.
        step: how it learns from a batch.
        plan: what is left to do.
        train: images to learn from.
        val: images to judge by.
        classes: class names, in the order of the logits.
        colours: principal components of the colours in ``train``, where the recipe shifts colours along them.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].
        runtime: where it runs.
        seed: what all random numbers follow from.
        group: the processes that train together.
        balanced: whether classes are drawn equally often.
        average: the averaged weights, where the recipe has them.
        loaded: what was taken over from other weights to begin with.
        frozen: names of the layers that do not learn.
        patience: epochs without a better loss on ``val`` after which training ends.
        position: how far it has come.
        history: the epochs done.
        stop: whether it is to stop before its end.
    """

    model: nn.Module
    step: Step
    plan: Plan
    train: Examples
    val: Examples
    classes: tuple[str, ...]
    colours: Tensor | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    runtime: Runtime
    seed: int
    group: Group = field(default_factory=Group)
    balanced: bool = False
    average: Average | None = None
    loaded: Loaded | None = None
    frozen: tuple[str, ...] = ()
    patience: int | None = None
    position: Position = field(default_factory=Position)
    history: list[EpochReport] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    @property
    def kept(self) -> nn.Module:
        """The network that is judged and kept: the averaged one, where there is one."""
        return self.model if self.average is None else self.average.model

    def step_seed(self, stream: int) -> int:
        """Return what the random numbers of one stream follow from in the step at hand.

        From (seed, epoch, step) alone, so that a resumed run draws what an unbroken one would.
        """
        at = (self.seed, self.position.epoch, self.position.step, stream)
        return int(np.random.default_rng(at).integers(2**62))
