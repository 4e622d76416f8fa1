"""A classifier: images in, ranked labels out."""

import operator
import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.errors import ImageError, SettingsError, shown, words
from alexnet.html.blocks import card, note, table
from alexnet.html.elements import Html
from alexnet.images.decoding import Pixels, decode
from alexnet.inference.engines.engine import Engine, EngineName, Numbers
from alexnet.inference.inputs import ImageLike, as_iterable, is_nameless
from alexnet.inference.member import Member
from alexnet.inference.predictions import ImagePredictions as ImagePredictions
from alexnet.inference.predictions import Prediction as Prediction
from alexnet.inference.predictions import PredictionList
from alexnet.inference.probability import mean_log_probabilities
from alexnet.inference.streaming import Decoded, decoded_batches
from alexnet.model.artifact import Artifact, resizing_alike
from alexnet.model.opening import load_artifact

BATCH = 32
# Images without a file that a classifier keeps for notebooks, as the network saw them: 10 MB, however many it predicts.
N_KEPT = 64


class Classifier:
    """A trained network for images of any size, shape and kind.

    Args:
        artifact: the saved model; ``alexnet.load`` finds one by path.
        max_pixels: larger images are refused; by default as in training.
        ensemble: more saved models of the same classes. The mean of all probabilities is predicted.
        engine: what runs them; auto: for each the fastest that is installed.

    Raises:
        ArtifactError: weights are missing or damaged, or an exported model fails its own test on this machine.
        SettingsError: the models do not have the same classes, or the engine cannot run them.

    Source: for the mean the paper, section 6.
    """

    def __init__(
        self,
        artifact: Artifact,
        max_pixels: int | None = None,
        ensemble: Sequence[Artifact] = (),
        engine: EngineName = "auto",
    ) -> None:
        artifacts = resizing_alike([artifact, *ensemble])
        self.artifact = artifacts[0]
        self.max_pixels = artifact.preprocessing.max_pixels if max_pixels is None else max_pixels
        self.members = [Member(each, artifact.classes, engine) for each in artifacts]
        self._kept: deque[Pixels] = deque(maxlen=N_KEPT)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return self.artifact.classes

    @property
    def engine(self) -> Engine:
        """The engine of its only network.

        Raises:
            SettingsError: this is an ensemble. Each of its networks has layers of its own.
        """
        if len(self.members) > 1:
            raise SettingsError("an ensemble has several networks, each with layers of its own; load one of them alone")
        return self.members[0].engine

    @property
    def engines(self) -> str:
        """What runs its networks, for people: engines with their versions, and the precisions of the weights."""
        return "; ".join(dict.fromkeys(each.engine.title for each in self.members))

    @property
    def is_export(self) -> bool:
        """Whether one of its models is an export."""
        return any(each.artifact.export is not None for each in self.members)

    def _repr_html_(self) -> Html:
        """Return what a notebook shows: the network, its classes, and how it was trained."""
        net, made = self.artifact.architecture, self.artifact.provenance
        size = f"{net.variant} at {net.image_size} px, {net.n_parameters:,} parameters"
        if len(self.members) > 1:
            size = f"mean of {len(self.members)} networks, the first: {size}"
        classes = f"{len(self.classes)} classes: {words(self.classes)}"
        facts = [
            (name, f"{value:.4g}" if isinstance(value, float) else str(value))
            for name, value in made.items()
            if isinstance(value, str | int | float)
        ]
        return card(str(self.artifact.folder), note(size), note(classes), table((), facts, n_left=2))

    def predict(self, images: ImageLike | Iterable[ImageLike], top: int = 5) -> PredictionList:
        """Return the predictions for each image.

        Args:
            images: one or several, as for ``predict_each``.
            top: how many classes to return at most.

        Raises:
            ImageError: an image cannot be read; ``predict_each`` continues instead.
            TypeError: something is not an image.
        """
        results = PredictionList(self.predict_each(images, top))
        for result in results:
            if result.error is not None:
                raise ImageError(result.path, result.error)
        return results

    def predict_each(
        self, images: ImageLike | Iterable[ImageLike | ImageError], top: int = 5
    ) -> Iterator[ImagePredictions]:
        """Yield the predictions for each image, in order. For an unreadable image, the result holds the error.

        Images are taken from the iterable as they are needed, ``BATCH`` at a time. So it may be larger than memory, or
        endless; and an image may be closed or overwritten as soon as the next one is requested. Only paths in a folder
        or a collection, such as a list, are read ahead: the next batch is decoded while the engine computes.

        Args:
            images: one or several of these: a path; a folder, for the images in it; a file's bytes; a file that is
                open in binary mode, which is read from its beginning and left open; a Pillow image; an array of uint8
                ``(H, W)``, ``(H, W, C)`` with ``C`` 1, 3 (RGB) or 4 (RGBA), or a stack ``(N, H, W, C)``; a tensor of
                uint8 ``(H, W)``, ``(C, H, W)``, or a stack ``(N, C, H, W)``. An ``ImageError`` among several stands
                for an image that could not be obtained, and becomes its result.
            top: how many classes to return at most.

        Raises:
            SettingsError: ``top`` is not a whole number of at least 1.
            TypeError: something is not an image.
        """
        if not hasattr(top, "__index__") or operator.index(top) < 1:
            raise SettingsError(f"top is {shown(top)}; it must be a whole number, and at least 1")
        for batch in self._batches(images):
            yield from self._predict(batch, top)

    def embed(self, images: ImageLike | Iterable[ImageLike]) -> Numbers:
        """Return an embedding of each image: the last hidden layer's ``(N, n)`` float32, for most variants fc7's 4,096.

        Similar images have embeddings close to each other: compare the distances between rows.

        Args:
            images: as for ``predict_each``.

        Raises:
            ImageError: an image cannot be read.
            SettingsError: this is an ensemble.
            TypeError: something is not an image.

        Source: the paper, section 6.1.
        """
        engine = self.engine
        rows = [np.empty((0, self.artifact.architecture.n_features), np.float32)]
        for batch in self._batches(images):
            for where, pixels in batch:
                if isinstance(pixels, str):
                    raise ImageError(where, pixels)
            rows.append(engine.embeddings(np.stack([pixels[0] for _, pixels in batch])))
        return np.concatenate(rows)

    def decode(self, content: Path | bytes | Image.Image, where: str) -> tuple[Pixels, ...]:
        """Return an image as each of the networks takes it, for ``predict_decoded``. Several threads may call this.

        Args:
            content: a path, a file's bytes, or an image that Pillow has opened.
            where: the name of the image in errors.

        Raises:
            ImageError: it cannot be read.
        """
        decoded = {
            side: decode(content, min_side=side, max_pixels=self.max_pixels, where=where)
            for side in {each.store_size for each in self.members}
        }
        return tuple(each.preprocess(decoded[each.store_size]) for each in self.members)

    def predict_decoded(self, batch: Sequence[tuple[Pixels, ...]], top: int = 5) -> list[tuple[Prediction, ...]]:
        """Return the most probable classes of each image, most probable first.

        Args:
            batch: images as ``decode`` returns them. All are computed at once.
            top: how many classes to return at most.
        """
        if not batch:
            return []
        # For each member, its images.
        inputs = [np.stack(images) for images in zip(*batch, strict=True)]
        each = [member.log_probabilities(images) for member, images in zip(self.members, inputs, strict=True)]
        ranked = []
        for probabilities in np.exp(mean_log_probabilities(each)):
            best = np.argsort(-probabilities, kind="stable")[:top]
            ranked.append(tuple(Prediction(self.classes[i], float(probabilities[i])) for i in best))
        return ranked

    def _batches(self, images: ImageLike | Iterable[ImageLike | ImageError]) -> Iterator[list[Decoded]]:
        return decoded_batches(as_iterable(images), self.decode, BATCH)

    def _predict(self, batch: list[Decoded], top: int) -> Iterator[ImagePredictions]:
        ranked = iter(self.predict_decoded([pixels for _, pixels in batch if not isinstance(pixels, str)], top))
        for where, pixels in batch:
            if isinstance(pixels, str):
                yield ImagePredictions(where, error=pixels)
            else:
                seen = self._keep(pixels[0]) if is_nameless(where) else None
                yield ImagePredictions(where, next(ranked), seen=seen)

    def _keep(self, pixels: Pixels) -> "weakref.ref[Pixels]":
        self._kept.append(pixels)
        return weakref.ref(pixels)


def load(
    path: str | os.PathLike[str],
    *,
    max_pixels: int | None = None,
    ensemble: Sequence[str | os.PathLike[str]] = (),
    engine: EngineName = "auto",
) -> Classifier:
    """Load a trained network from a run folder, a model folder, an export or the Hugging Face hub.

    Args:
        path: the folder or file, or ``hf:user/name`` for a model on the hub.
        max_pixels: larger images are refused; by default as in training.
        ensemble: more models of the same classes. The mean of all probabilities is predicted.
        engine: what runs them: ``torch``, ``onnxruntime`` or ``openvino``; auto: the fastest that is installed.

    Raises:
        ArtifactError: there is no model, it is damaged, it cannot be downloaded, or an exported model fails its own
            test on this machine.
        SettingsError: the models do not have the same classes, or the engine cannot run them.
    """
    return Classifier(load_artifact(path), max_pixels, [load_artifact(each) for each in ensemble], engine)
