"""What a classifier predicts for images, as values; notebooks show them as images with bars."""

import weakref
from dataclasses import dataclass, field
from typing import Any

from alexnet.errors import ImageError
from alexnet.html.blocks import bars, beside, card, image, note
from alexnet.html.elements import Html, joined
from alexnet.html.thumbnails import SIDE, thumbnail
from alexnet.images.decoding import Pixels, decode
from alexnet.inference.inputs import read_content

# Predictions of a list that a notebook shows.
MOST_SHOWN = 20


@dataclass(frozen=True)
class Prediction:
    """One class and its probability, in [0, 1]."""

    label: str
    probability: float

    def _repr_html_(self) -> Html:
        return bars([(self.label, self.probability)])


@dataclass(frozen=True)
class ImagePredictions:
    """The predictions for one image.

    Attributes:
        path: the image's path, or a name for an image without a path.
        predictions: the most probable classes, most probable first; empty if the image cannot be read.
        error: why it cannot be read; None if it can.
        seen: the image as the network saw it, for notebooks, as long as the classifier keeps it; None for files, which
            are read again.
    """

    path: str
    predictions: tuple[Prediction, ...] = ()
    error: str | None = None
    seen: weakref.ref[Pixels] | None = field(default=None, repr=False, compare=False)

    @property
    def label(self) -> str:
        """The most probable class.

        Raises:
            ImageError: the image could not be read.
        """
        if self.error is not None:
            raise ImageError(self.path, self.error)
        return self.predictions[0].label

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``alexnet predict --format json`` prints."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        ranked = [{"label": each.label, "probability": each.probability} for each in self.predictions]
        return {"path": self.path, "predictions": ranked}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "seen": None}  # what a classifier keeps is of its own process

    def _repr_html_(self) -> Html:
        if self.error is not None:
            return card(self.path, note(f"cannot be read: {self.error}"))
        shares = bars((each.label, each.probability) for each in self.predictions)
        try:
            shown = image(self._thumbnail(), "jpeg", self.path, style="width:128px;height:128px;object-fit:contain")
        except ImageError as error:
            shown = note(f"the image cannot be shown: {error.reason}")
        return card(self.path, beside(shown, shares))

    def _thumbnail(self) -> bytes:
        """Return the image as a small JPEG.

        Raises:
            ImageError: its file cannot be read, or it had none and is not kept any more.
        """
        if self.seen is None:
            return thumbnail(decode(read_content(self.path), min_side=SIDE, where=self.path))
        pixels = self.seen()
        if pixels is None:
            raise ImageError(self.path, "it has no path, and more images were predicted since")
        return thumbnail(pixels)


class PredictionList(list[ImagePredictions]):
    """The predictions for several images: a list, of which a notebook shows the first ``MOST_SHOWN``."""

    def _repr_html_(self) -> Html:
        more = [note(f"and {len(self) - MOST_SHOWN} more images")] if len(self) > MOST_SHOWN else []
        return joined(*(each._repr_html_() for each in self[:MOST_SHOWN]), *more)
