"""Scores from logits and labels, in numpy alone: every engine is scored by the same arithmetic."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import ArtifactError
from alexnet.inference.probability import Floats, log_softmax

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class.

    Attributes:
        label: the class.
        n_images: number of its images.
        precision: share of the predictions of this class that are right, in [0, 1]; 0 where there are none.
        recall: share of its images that are predicted right, in [0, 1]; 0 where there are none.
    """

    label: str
    n_images: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Scores:
    """The scores of a network on labelled images.

    Attributes:
        n_images: number of images.
        top1: share whose most probable class is right, in [0, 1].
        top5: share whose class is among the five most probable, or among all where there are fewer than five.
        loss: mean cross-entropy in nats.
        ece: expected calibration error, in [0, 1]; see ``calibration_error``.
        per_class: scores by class, in the network's order.
        confusion: ``(n_classes, n_classes)`` counts, a row for each true class, a column for each predicted class.
    """

    n_images: int
    top1: float
    top5: float
    loss: float
    ece: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``alexnet evaluate --json`` prints."""
        per_class = {
            score.label: {"n_images": score.n_images, "precision": score.precision, "recall": score.recall}
            for score in self.per_class
        }
        return {
            "n_images": self.n_images,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "ece": self.ece,
            "per_class": per_class,
            "confusion": [list(row) for row in self.confusion],
        }


def score(logits: Floats, labels: Integers, classes: tuple[str, ...]) -> Scores:
    """Score logits ``(N, n_classes)`` against class numbers ``(N,)``; ``N`` is at least 1.

    Raises:
        ArtifactError: some are NaN or infinite. No logit is above NaN, so the right class would always rank first.
    """
    if not np.isfinite(logits).all():
        raise ArtifactError("the network outputs NaN or infinity, which cannot be scored; train it again")
    log_probabilities = log_softmax(logits)
    predicted = logits.argmax(axis=1)
    # A class ranks behind those with larger logits; on a tie, behind those before it, as in argmax.
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(len(classes))[None, :] < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)

    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    right, n_true, n_predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    per_class = tuple(
        ClassScore(label, int(n_true[i]), _share(right[i], n_predicted[i]), _share(right[i], n_true[i]))
        for i, label in enumerate(classes)
    )
    return Scores(
        n_images=len(labels),
        top1=float((rank < 1).mean()),
        top5=float((rank < 5).mean()),
        loss=float(-np.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()),
        ece=calibration_error(np.exp(log_probabilities), labels),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def calibration_error(probabilities: Floats, labels: Integers, n_bins: int = 15) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, a share in [0, 1].

    Predictions are put into bins of equal width by their probability. The gaps between each bin's mean probability
    and its share of right predictions are averaged, weighted by the size of the bin.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
