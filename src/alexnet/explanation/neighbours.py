"""The training images that a network finds most like an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet.explanation.activations import Numbers
from alexnet.explanation.gallery import Gallery


@dataclass(frozen=True)
class Neighbour:
    """A training image near an image.

    Attributes:
        path: its path in the data.
        label: its class.
        distance: the Euclidean distance between the two embeddings; about 0 for the same image.
        row: its row in the gallery.
    """

    path: str
    label: str
    distance: float
    row: int

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"path": self.path, "label": self.label, "distance": self.distance}


def nearest(embedding: Numbers, gallery: Gallery, n: int = 6) -> tuple[Neighbour, ...]:
    """Return the training images nearest to an image, nearest first.

    Args:
        embedding: the output of the last hidden layer for the image, ``(n_features,)``.
        gallery: the training images.
        n: how many to return at most.

    Source: the paper, section 6.1 and figure 4: the Euclidean distance between the outputs of the last hidden layer.
    """
    distances = np.linalg.norm(gallery.embeddings.astype(np.float32) - embedding, axis=1)
    rows = np.argsort(distances, kind="stable")[:n].tolist()
    return tuple(Neighbour(gallery.names[row], gallery.labels[row], float(distances[row]), row) for row in rows)
