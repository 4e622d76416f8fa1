"""The state of training: network, optimiser, data and progress."""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from alexnet.data.batches.examples import Examples
from alexnet.network.module.model import AlexNet
from alexnet.network.weights.loading import Loaded
from alexnet.training.learning.average import Average
from alexnet.training.learning.reports import EpochReport
from alexnet.training.learning.step import Step
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Plan, PlannedEpoch


@dataclass
class Position:
    """Where training is. A checkpoint holds this, the weights and the momentum.

    The names of the fields are those in a checkpoint's ``state.json``.

    Attributes:
        epoch: epochs done.
        step: steps done in the current epoch.
        leg: the plan of the current epoch; None between epochs.
        progress: share of training done, in [0, 1].
        averaged: progress when the weights were last averaged.
        lr: learning rate of the last step.
        loss_sum: loss of the current epoch, summed over images.
        n_seen: images seen in the current epoch.
        seconds: training time of the current epoch.
    """

    epoch: int = 0
    step: int = 0
    leg: PlannedEpoch | None = None
    progress: float = 0.0
    averaged: float = 0.0
    lr: float = 0.0
    loss_sum: float = 0.0
    n_seen: int = 0
    seconds: float = 0.0


@dataclass
class Stop:
    """A request to stop training early.

    Attributes:
        signal: the signal that asks this process to stop; may be set at any time, from a signal handler for example.
        agreed: whether all processes have stopped, after the same step.
    """

    signal: int | None = None
    agreed: bool = False


@dataclass(kw_only=True)
class Training:
    """Everything that the training loop needs.

    Attributes:
        model: the network.
        step: trains on one batch.
        plan: the epochs that are left.
        train: training images.
        val: validation images.
        classes: class names, in the order of the logits.
        colours: principal components of the colours in ``train``; None if the recipe has no colour shift.
        mean: mean of each channel, in [0, 1].
        std: standard deviation of each channel, in [0, 1].
        runtime: device and precision.
        seed: seed of all random numbers.
        group: the processes that train together.
        balanced: whether classes are sampled equally often.
        average: the averaged weights; None if the recipe has none.
        loaded: the weights that were loaded with ``--init``.
        frozen: names of the frozen layers.
        patience: epochs without a lower loss on ``val`` after which training ends.
        note: why the network has its variant and channels; empty if they were given.
        position: where training is.
        history: the reports of the epochs done.
        stop: a request to stop early.
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
    note: str = ""
    position: Position = field(default_factory=Position)
    history: list[EpochReport] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    @property
    def mean_image(self) -> Tensor | None:
        """What the network subtracts from each image, ``(C, S, S)``, in levels from 0 to 255; None if nothing."""
        return self.model.mean_image if isinstance(self.model, AlexNet) else None

    @property
    def eval_model(self) -> nn.Module:
        """The network that is evaluated and saved: the averaged one, if there is one."""
        return self.model if self.average is None else self.average.model

    def step_seed(self, stream: int) -> int:
        """Return the seed of a stream of random numbers in the current step.

        It depends only on (seed, epoch, step), so a resumed run draws the same numbers as an uninterrupted one.
        """
        at = (self.seed, self.position.epoch, self.position.step, stream)
        return int(np.random.default_rng(at).integers(2**62))
