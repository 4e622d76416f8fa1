"""Two networks on the same images: only such a paired comparison can find a difference of a few points."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scores.intervals import Interval, bootstrap_mean, mcnemar, paired_difference
from alexnet.evaluation.scores.metrics import losses


@dataclass(frozen=True)
class Difference:
    """An image for which two networks predict different classes.

    Attributes:
        path: the image.
        label: its label.
        first: what the first network predicts.
        second: what the second predicts.
    """

    path: str
    label: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """The first network against the second.

    Attributes:
        n_images: number of images.
        n_only_first: number that only the first network gets right.
        n_only_second: number that only the second gets right.
        top1: top-1 of the first minus that of the second, in [-1, 1].
        top1_interval: its 95% interval, for pairs of predictions of the same image.
        loss: loss of the first minus that of the second, in nats.
        loss_interval: its 95% interval, also for pairs.
        p_value: how probable at least such a difference in right predictions is if both are equally good: McNemar's
            exact test.
        differences: the images for which they predict different classes.
    """

    n_images: int
    n_only_first: int
    n_only_second: int
    top1: float
    top1_interval: Interval
    loss: float
    loss_interval: Interval
    p_value: float
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {
            **asdict(self),
            "top1_interval": self.top1_interval.to_json(),
            "loss_interval": self.loss_interval.to_json(),
        }


def compare_outputs(first: Outputs, second: Outputs) -> Comparison:
    """Compare what two networks predict for the same images, in the same order."""
    assert first.names == second.names
    assert first.classes == second.classes
    right, other = first.is_right, second.is_right
    n_only, n_only_other = int((right & ~other).sum()), int((other & ~right).sum())
    by_loss = losses(first.log_probabilities, first.labels) - losses(second.log_probabilities, second.labels)
    classes = first.classes
    return Comparison(
        n_images=len(right),
        n_only_first=n_only,
        n_only_second=n_only_other,
        top1=(n_only - n_only_other) / len(right),
        top1_interval=paired_difference(right, other),
        loss=float(by_loss.mean()),
        loss_interval=bootstrap_mean(by_loss),
        p_value=mcnemar(n_only, n_only_other),
        differences=tuple(
            Difference(
                first.names[i], classes[first.labels[i]], classes[first.predicted[i]], classes[second.predicted[i]]
            )
            for i in np.flatnonzero(first.predicted != second.predicted)
        ),
    )
