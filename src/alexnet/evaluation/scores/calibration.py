"""Calibration: how far probabilities can be believed, and the temperature that mends them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.inference.probability import Floats, log_softmax

N_BINS = 15
# Temperatures outside are never fitted: with few images, the best one may be 0 or infinite.
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Bin:
    """The predictions whose probability lies in one interval.

    Attributes:
        low: its lower end, not in it.
        high: its upper end.
        n_images: number of predictions in it.
        confidence: their mean probability, in [0, 1]; 0 where there are none.
        accuracy: the share of them that is right, in [0, 1]; 0 where there are none.
    """

    low: float
    high: float
    n_images: int
    confidence: float
    accuracy: float


def reliability(probabilities: Floats, labels: npt.NDArray[np.int64]) -> tuple[Bin, ...]:
    """Return bins of equal width from 0 to 1, for a reliability diagram.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    number = bins_of(confidence)
    counts, sums, n_right = (
        np.bincount(number, weights=weights, minlength=N_BINS) for weights in (None, confidence, right)
    )
    some = np.maximum(counts, 1)
    return tuple(
        Bin(i / N_BINS, (i + 1) / N_BINS, int(counts[i]), float(sums[i] / some[i]), float(n_right[i] / some[i]))
        for i in range(N_BINS)
    )


def calibration_error(probabilities: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, a share in [0, 1].

    The gap between confidence and accuracy is averaged over the bins of ``reliability``, weighted by their images.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    return binned_error(confidence, right)


def binned_error(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Return the calibration error of predictions with these probabilities ``(N,)``, right or not."""
    gaps = np.bincount(bins_of(confidence), weights=right - confidence, minlength=N_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def bins_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """Return the number of each probability's bin, ``(N,)``."""
    return np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)


def fit_temperature(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature T with which ``softmax(logits / T)`` has the lowest loss on these images.

    The targets are not quite 1: among N images the given class gets (N + 1) / (N + 2), as if one more image were
    wrong. Otherwise, a network without a mistake on N images would always be sure.

    Args:
        logits: ``(N, n_classes)``.
        labels: class numbers ``(N,)``.

    Source: Guo et al. 2017, section 4.2; for the targets Platt 1999, "Probabilistic Outputs for Support Vector
    Machines", section 2.2.
    """
    n, n_classes = logits.shape
    if n_classes < 2 or not n:
        return 1.0
    logits = logits.astype(np.float64)
    own = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    doubt = 1 / (n + 2)
    target = (1 - doubt) * own + doubt * (logits.sum(axis=1) - own) / (n_classes - 1)

    def slope(temperature: float) -> float:
        """Return the derivative of the loss by 1 / T. It falls while T rises, as the loss is convex in 1 / T."""
        expected = (np.exp(log_softmax(logits, temperature)) * logits).sum(axis=1)
        return float((expected - target).sum())

    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))
