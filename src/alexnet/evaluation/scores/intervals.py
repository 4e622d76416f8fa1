"""How sure the scores are: intervals that cover the true score in 95% of samples of images.

Shares have intervals in closed form. Resampling the images would give a network without a mistake on 100 images a
top-1 from 1 to 1, although one that makes 3 mistakes in 100 has such luck in one of twenty samples.
"""

import math
from dataclasses import dataclass

import numpy as np

from alexnet.evaluation.scores.calibration import binned_error
from alexnet.evaluation.scores.metrics import Booleans, Integers, losses, ranks
from alexnet.inference.probability import Floats

# Of the normal distribution, for 95%.
Z = 1.959964
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Interval:
    """A 95% interval, from ``low`` to ``high``."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"

    def to_json(self) -> list[float]:
        """Return its two ends."""
        return [self.low, self.high]


def intervals(log_probabilities: Floats, labels: Integers, seed: int = 0) -> dict[str, Interval]:
    """Return the 95% intervals of ``top1``, ``top5``, ``loss``, ``macro_recall`` and ``balanced_accuracy``.

    Not of the calibration error, which is too large on few images: see ``error_of_calibrated``.

    Args:
        log_probabilities: ``(N, n_classes)``.
        labels: class numbers ``(N,)``.
        seed: of the resampling.
    """
    n, n_classes = log_probabilities.shape
    rank = ranks(log_probabilities, labels)
    per_class = np.bincount(labels, minlength=n_classes)
    right = np.bincount(labels, weights=rank < 1, minlength=n_classes).astype(np.int64)
    return {
        "top1": wilson(int((rank < 1).sum()), n),
        # Of at most five classes all are among the five.
        "top5": wilson(int((rank < 5).sum()), n) if n_classes > 5 else Interval(1.0, 1.0),
        "loss": bootstrap_mean(losses(log_probabilities, labels), seed),
        "macro_recall": mean_of_shares(right, per_class, n_classes),
        "balanced_accuracy": mean_of_shares(right, per_class, int((per_class > 0).sum())),
    }


def wilson(n_right: float, n: float) -> Interval:
    """Return the interval of a share, ``n_right`` of ``n``.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    share, z2 = n_right / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def mean_of_shares(n_right: Integers, n: Integers, n_shares: int) -> Interval:
    """Return the interval of the mean of independent shares, ``n_right`` of ``n`` each, such as recalls of classes.

    It is Wilson's for as many images as give a single share the same variance. For the variance, each share is moved
    away from 0 and 1 by half an image: with no mistake it would be 0.

    Args:
        n_right: ``(K,)``.
        n: ``(K,)``; the shares of 0 are known to be 0.
        n_shares: what their sum is divided by.

    Source: the effective sample size of Korn and Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data".
    """
    right, of = n_right[n > 0], n[n > 0]
    moved = (right + 0.5) / (of + 1)
    variance = float((moved * (1 - moved) / of).sum()) / len(of) ** 2
    middle = float(moved.mean())
    n_effective = middle * (1 - middle) / variance
    found, known = wilson(float((right / of).mean()) * n_effective, n_effective), len(of) / n_shares
    return Interval(found.low * known, found.high * known)


def bootstrap_mean(values: Floats, seed: int = 0) -> Interval:
    """Return the interval of a mean: where 95% of the means of as many values lie, drawn anew from ``(N,)``."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(N_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(low), float(high))


def error_of_calibrated(confidence: Floats, seed: int = 0) -> Interval:
    """Return between which calibration errors a perfectly calibrated network would be on as many images.

    On few images even its error is far from 0. An error inside this interval is no sign of bad calibration.

    Args:
        confidence: the probability of each prediction, ``(N,)``.
        seed: of the simulation.

    Source: Bröcker and Smith 2007, "Increasing the Reliability of Reliability Diagrams".
    """
    rng = np.random.default_rng(seed)
    errors = [binned_error(confidence, rng.random(len(confidence)) < confidence) for _ in range(N_RESAMPLES)]
    low, high = np.quantile(errors, [0.025, 0.975])
    return Interval(float(low), float(high))


def paired_difference(right: Booleans, other: Booleans) -> Interval:
    """Return the interval of the difference between the top-1 of two networks, on the same images ``(N,)``.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
    """
    n = len(right) + 2
    only, only_other = ((right & ~other).sum() + 0.5) / n, ((other & ~right).sum() + 0.5) / n
    difference = only - only_other
    half = Z * math.sqrt((only + only_other - difference**2) / n)
    return Interval(float(max(-1.0, difference - half)), float(min(1.0, difference + half)))


def mcnemar(n_only: int, n_only_other: int) -> float:
    """Return the exact p-value that two networks are equally good, in [0, 1].

    Args:
        n_only: number of images that only the first gets right.
        n_only_other: number that only the second gets right.

    Source: McNemar 1947, in its exact form: a two-sided sign test.
    """
    n, least = n_only + n_only_other, min(n_only, n_only_other)
    if n == 0:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(least + 1)]
    return min(1.0, 2 * math.fsum(math.exp(each - n * math.log(2)) for each in logs))
