"""What is found out about one image, and about several."""

from dataclasses import asdict, dataclass
from typing import Any

from alexnet.explanation.channels import Channel
from alexnet.explanation.neighbours import Neighbour
from alexnet.explanation.windows import Field
from alexnet.inference.classifier import Prediction
from alexnet.inference.probability import Floats


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Where an image raises the logit of a class, by Grad-CAM.

    Attributes:
        label: the class.
        values: how much, ``(h, w)``, at least 0; all 0 where nothing speaks for the class.
        field: what the positions of the map see.
    """

    label: str
    values: Floats
    field: Field

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"label": self.label, "values": self.values.tolist(), "field": asdict(self.field)}


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a network predicts what it predicts for an image.

    Attributes:
        path: the image's path, or a name for an image without a path.
        predictions: the most probable classes, most probable first; empty if the image cannot be read.
        maps: Grad-CAM for the first class; also for the second if it is at least half as probable.
        channels: the strongest channels of each convolutional layer, with what else excites them.
        neighbours: the nearest training images, nearest first.
        panel: the file in which all this is drawn; None where none was written.
        error: why the image cannot be read; None if it can.
    """

    path: str
    predictions: tuple[Prediction, ...] = ()
    maps: tuple[ClassMap, ...] = ()
    channels: tuple[Channel, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    panel: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return one of the ``images`` that ``alexnet explain --json`` prints."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        return {
            "path": self.path,
            "predictions": [{"label": each.label, "probability": each.probability} for each in self.predictions],
            "maps": [each.to_json() for each in self.maps],
            "channels": [each.to_json() for each in self.channels],
            "neighbours": [each.to_json() for each in self.neighbours],
            "panel": self.panel,
        }


@dataclass(frozen=True, eq=False)
class Explanations:
    """The explanations of several images by one network.

    Attributes:
        images: one for each image, in order.
        structure: how much alike neighbouring weights of conv1's kernels are: see ``kernels.structure``.
        notes: what is left out and why, a line each.
    """

    images: tuple[Explanation, ...]
    structure: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``alexnet explain --json`` prints."""
        return {
            "images": [each.to_json() for each in self.images],
            "kernels": {"structure": self.structure},
            "notes": list(self.notes),
        }
