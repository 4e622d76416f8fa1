"""What a network predicts for labelled images: all that its scores are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from alexnet.evaluation.scores.metrics import Integers
from alexnet.inference.probability import Floats, log_softmax, mean_log_probabilities


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network, or the mean of several, predicts for labelled images.

    Attributes:
        classes: class names, in the order of the columns.
        names: the images' paths in their data, ``(N,)``.
        labels: their class numbers, ``(N,)``.
        log_probabilities: ``(N, n_classes)`` float64.
        temperature: what the logits were divided by; None for the mean of several networks.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: Integers
    log_probabilities: Floats
    temperature: float | None = 1.0

    @cached_property
    def predicted(self) -> Integers:
        """The most probable class of each image, ``(N,)``; of equal ones the first."""
        return np.asarray(self.log_probabilities.argmax(axis=1))

    @cached_property
    def probabilities(self) -> Floats:
        """Probabilities ``(N, n_classes)``, in [0, 1]."""
        return np.exp(self.log_probabilities)

    @property
    def own(self) -> Floats:
        """The probability of each image's label, ``(N,)``."""
        return np.asarray(np.take_along_axis(self.probabilities, self.labels[:, None], axis=1)[:, 0])

    @property
    def is_right(self) -> npt.NDArray[np.bool_]:
        """Whether the most probable class is the label, ``(N,)``."""
        return np.asarray(self.predicted == self.labels)

    @property
    def has_temperature(self) -> bool:
        """Whether the logits were divided by a temperature other than 1."""
        return self.temperature not in (None, 1.0)

    @property
    def uncalibrated(self) -> Floats | None:
        """The log-probabilities without the temperature, ``(N, n_classes)``; None for several networks."""
        return None if self.temperature is None else log_softmax(self.log_probabilities * self.temperature)


def mean_of(members: Sequence[Outputs]) -> Outputs:
    """Return the mean of the probabilities of several networks, on the same images in the same order.

    Source: the paper, section 6, which averages the predictions of five and seven networks.
    """
    first, *others = members
    if not others:
        return first
    assert all(each.names == first.names and each.classes == first.classes for each in others)
    mean = mean_log_probabilities([each.log_probabilities for each in members])
    return replace(first, log_probabilities=mean, temperature=None)
