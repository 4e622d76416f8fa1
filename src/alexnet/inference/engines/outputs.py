"""What engines compute: numbers that are finite; of an exported network, by the names of its outputs."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.errors import ArtifactError
from alexnet.images.decoding import Pixels

Numbers = npt.NDArray[np.float32]
# The outputs of an exported network, in order. Programs of others take the first.
OUTPUTS = ("probabilities", "logits", "embeddings", "maps")


class ByName(ABC):
    """An engine of an exported network, whose outputs have names."""

    def logits(self, pixels: Pixels) -> Numbers:
        """Return logits ``(N, n_classes)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self.run("logits", pixels)

    def embeddings(self, pixels: Pixels) -> Numbers:
        """Return the last hidden layer ``(N, n)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self.run("embeddings", pixels)

    def maps(self, pixels: Pixels) -> Numbers:
        """Return what the last pool reads, ``(N, C, h, w)``, for images ``(N, image_size, image_size, C)`` uint8."""
        return self.run("maps", pixels)

    @abstractmethod
    def run(self, output: str, pixels: Pixels) -> Numbers:
        """Return one of ``OUTPUTS`` for images ``(N, image_size, image_size, C)`` uint8.

        Raises:
            ArtifactError: it is not finite.
        """


def finite(numbers: Numbers, model: Path) -> Numbers:
    """Return what a model outputs.

    Raises:
        ArtifactError: it is not finite.
    """
    if not np.isfinite(numbers).all():
        raise ArtifactError(
            f"the model in {str(model)!r} outputs NaN or infinity: its weights are damaged "
            "or too large; copy it again, or train it again at a lower learning rate"
        )
    return numbers
