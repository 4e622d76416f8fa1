"""From logits to probabilities, for both prediction and evaluation."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def log_softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return log-probabilities ``(N, n_classes)`` of logits that are divided by a temperature.

    In float64: printed probabilities should add up to 1, and the division should make no two logits equal.
    """
    logits = logits.astype(np.float64) / temperature
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def mean_log_probabilities(each: list[Floats]) -> Floats:
    """Return the logarithm of the mean of probabilities, given their logarithms, ``(N, n_classes)`` each.

    Source: the paper, sections 4.1 and 6, which averages the outputs of the softmax over views and over networks.
    """
    return np.asarray(np.logaddexp.reduce(each) - np.log(len(each)))
