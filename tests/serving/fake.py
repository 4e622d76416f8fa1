"""A classifier that needs no network: it predicts the colour of real image files, read by the real decoder."""

import io
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from alexnet.explanation.result import ClassMap, Explanation
from alexnet.explanation.windows import Field
from alexnet.images.decoding import decode
from alexnet.inference.predictions import Prediction
from alexnet.serving.app import create_app
from alexnet.serving.models import Served
from alexnet.serving.settings import ServerSettings

COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}
PAGE = "<!doctype html><title>alexnet</title>"
MAX_PIXELS = 1_000_000


def image_file(colour: str = "red", kind: str = "PNG", size: tuple[int, int] = (16, 12)) -> bytes:
    """Return the bytes of an image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(file, kind)
    return file.getvalue()


class FakeClassifier:
    """Predicts with the share of each colour.

    Attributes:
        n_begun: how many batches the engine has begun.
        batches: how many images each finished batch had.
        may_compute: an event that must be set for the engine to go on.
        may_decode: the same for decoding images wider than 20 pixels.
        fails: whether the engine raises an error.
    """

    classes = tuple(COLOURS)
    max_pixels = MAX_PIXELS
    engine = SimpleNamespace(name="fake", title="Fake 1.0, fp32")
    artifact = SimpleNamespace(
        architecture=SimpleNamespace(image_size=8, in_channels=3),
        preprocessing=SimpleNamespace(store_size=8, resize="squash"),
    )

    def __init__(self) -> None:
        self.n_begun = 0
        self.batches: list[int] = []
        self.fails = False
        self.may_compute, self.may_decode = threading.Event(), threading.Event()
        self.may_compute.set()
        self.may_decode.set()

    def decode(self, content: bytes, where: str) -> tuple[Any, ...]:
        pixels = decode(content, max_pixels=self.max_pixels, where=where)
        if pixels.shape[1] > 20:
            assert self.may_decode.wait(30)
        return (pixels[:1, :1],)

    def predict_decoded(self, batch, top: int) -> list[tuple[Prediction, ...]]:
        self.n_begun += 1
        assert self.may_compute.wait(30)
        self.batches.append(len(batch))
        if self.fails:
            raise RuntimeError("a secret of /this/machine")
        return [self._ranked(pixels, top) for (pixels,) in batch]

    def _ranked(self, pixels, top: int) -> tuple[Prediction, ...]:
        colour = pixels[0, 0] + 1.0  # black has shares, too
        shares = colour / colour.sum()
        best = np.argsort(-shares, kind="stable")[:top]
        return tuple(Prediction(self.classes[number], float(shares[number])) for number in best)


def explain(pixels) -> Explanation:
    """Return an explanation with one map."""
    ((prediction,),) = FakeClassifier().predict_decoded([(pixels[:1, :1],)], 1)
    shown = ClassMap(prediction.label, np.array([[0.0, 1.5]]), Field(11, 4, -2, 2, 8, 8))
    return Explanation("", (prediction,), (shown,))


def served(classifier: FakeClassifier | None = None, name: str = "colours", explains: bool = True) -> Served:
    """Return a model that is served."""
    return Served(name, classifier or FakeClassifier(), explain if explains else None)  # type: ignore[arg-type]


def app_of(*models: Served, api_key: str | None = None, log=lambda facts: None, **settings: Any):
    """Return an application with these models, by default one. Any host name may lead to it."""
    named = {each.name: each for each in models or (served(),)}
    return create_app(named, ServerSettings(**{"host": "0.0.0.0", **settings}), page=PAGE, api_key=api_key, log=log)
