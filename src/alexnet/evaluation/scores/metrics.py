"""Scores from logits and labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import ArtifactError
from alexnet.evaluation.scores.calibration import calibration_error
from alexnet.inference.probability import Floats, log_softmax

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class.

    Attributes:
        label: the class.
        n_images: number of its images, its support.
        precision: share of the predictions of this class that are right, in [0, 1]; 0 where there are none.
        recall: share of its images that are predicted right, in [0, 1]; 0 where there are none.
        f1: harmonic mean of precision and recall, in [0, 1]; 0 where both are 0.
    """

    label: str
    n_images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """The scores of a network on labelled images.

    Attributes:
        n_images: number of images.
        top1: share whose most probable class is right, in [0, 1].
        top5: share whose class is among the five most probable, or among all where there are fewer than five.
        loss: mean cross-entropy in nats.
        ece: expected calibration error, in [0, 1]; see ``calibration_error``.
        macro_recall: mean recall of all classes, in [0, 1]; a class without images counts as 0.
        balanced_accuracy: mean recall of the classes that have images, in [0, 1].
        per_class: scores by class, in the network's order.
        confusion: ``(n_classes, n_classes)`` counts, a row for each true class, a column for each predicted class.
    """

    n_images: int
    top1: float
    top5: float
    loss: float
    ece: float
    macro_recall: float
    balanced_accuracy: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def is_complete(self) -> bool:
        """Whether every class has images: only then are macro recall and balanced accuracy equal."""
        return all(each.n_images for each in self.per_class)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        per_class = {
            each.label: {
                "n_images": each.n_images,
                "precision": each.precision,
                "recall": each.recall,
                "f1": each.f1,
            }
            for each in self.per_class
        }
        return {
            "n_images": self.n_images,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "ece": self.ece,
            "macro_recall": self.macro_recall,
            "balanced_accuracy": self.balanced_accuracy,
            "per_class": per_class,
            "confusion": [list(row) for row in self.confusion],
        }


def score(logits: Floats, labels: Integers, classes: tuple[str, ...]) -> Scores:
    """Score logits or log-probabilities ``(N, n_classes)`` against class numbers ``(N,)``; ``N`` is at least 1.

    Raises:
        ArtifactError: some are NaN or infinite. No logit is above NaN, so the right class would always rank first.
    """
    if not np.isfinite(logits).all():
        raise ArtifactError("the network outputs NaN or infinity, which cannot be scored; train it again")
    log_probabilities = log_softmax(logits)
    rank = ranks(logits, labels)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (labels, logits.argmax(axis=1)), 1)
    per_class = _per_class(confusion, classes)
    recalls = [each.recall for each in per_class]
    return Scores(
        n_images=len(labels),
        top1=float((rank < 1).mean()),
        top5=float((rank < 5).mean()),
        loss=float(losses(log_probabilities, labels).mean()),
        ece=calibration_error(np.exp(log_probabilities), labels),
        macro_recall=float(np.mean(recalls)),
        balanced_accuracy=float(np.mean([each.recall for each in per_class if each.n_images])),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def ranks(logits: Floats, labels: Integers) -> Integers:
    """Return the rank of each image's own class, ``(N,)``: 0 where it is the most probable.

    A class ranks behind those with larger logits; on a tie, behind those before it, as in ``argmax``.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1])[None, :] < labels[:, None]
    return np.asarray(((logits > own) | ((logits == own) & earlier)).sum(axis=1))


def losses(log_probabilities: Floats, labels: Integers) -> Floats:
    """Return the cross-entropy of each image in nats, ``(N,)``."""
    return np.asarray(-np.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0])


def _per_class(confusion: Integers, classes: tuple[str, ...]) -> tuple[ClassScore, ...]:
    right, n_true, n_predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(
        ClassScore(
            label,
            int(n_true[i]),
            precision=_share(right[i], n_predicted[i]),
            recall=_share(right[i], n_true[i]),
            f1=_share(2 * right[i], n_true[i] + n_predicted[i]),
        )
        for i, label in enumerate(classes)
    )


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
