"""The channels of each layer that an image excites most, and the training images that excite them too."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alexnet.explanation.activations import Peaks
from alexnet.explanation.gallery import Gallery
from alexnet.explanation.windows import Field, Window


@dataclass(frozen=True)
class Patch:
    """A part of a training image that excites a channel.

    Attributes:
        path: the image's path in the data.
        label: its class.
        window: the part that the channel saw.
        row: the image's row in the gallery.
    """

    path: str
    label: str
    window: Window
    row: int

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; edges of windows are shares of the sides of the square image."""
        return {"path": self.path, "label": self.label, "window": asdict(self.window)}


@dataclass(frozen=True)
class Channel:
    """A channel that an image excites.

    Attributes:
        layer: its layer, such as ``conv3``.
        number: its number in the layer, from 0.
        strength: how far its largest activation is above the mean over training images, in standard deviations.
        window: the part of the image with the largest activation.
        patches: the parts of training images that excite it most, most first.
    """

    layer: str
    number: int
    strength: float
    window: Window
    patches: tuple[Patch, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; edges of windows are shares of the sides of the square image."""
        return {
            "layer": self.layer,
            "channel": self.number,
            "strength": self.strength,
            "window": asdict(self.window),
            "patches": [each.to_json() for each in self.patches],
        }


def strongest(layer: str, peaks: Peaks, field: Field, gallery: Gallery, n: int = 3) -> tuple[Channel, ...]:
    """Return the channels of a layer that an image excites most, compared with training images; strongest first.

    Compared, because some channels are large in every image: they say nothing of this one. A channel that is the
    same in all training images has the strength 0.

    Args:
        layer: the name of the layer.
        peaks: where its channels are largest, for this one image.
        field: what the positions of its map see.
        gallery: the training images.
        n: how many channels to return at most.
    """
    patches = gallery.patches[layer]
    above = peaks.values[0].astype(np.float64) - patches.mean
    strengths = np.divide(above, patches.std, out=np.zeros_like(above), where=patches.std > 0)
    return tuple(
        Channel(
            layer,
            number,
            float(strengths[number]),
            field.window(int(peaks.places[0, number])),
            tuple(
                Patch(gallery.names[row], gallery.labels[row], field.window(place), row)
                for row, place in zip(patches.images[number].tolist(), patches.places[number].tolist(), strict=True)
            ),
        )
        for number in np.argsort(-strengths, kind="stable")[:n].tolist()
    )
