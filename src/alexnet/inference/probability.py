"""From logits to probabilities, in one place for answering and judging."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def log_softmax(logits: Floats) -> Floats:
    """Return log-probabilities ``(N, n_classes)`` in float64, so that probabilities add up to 1 as printed."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
