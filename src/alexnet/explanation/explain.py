"""Explain what a network predicts for images: where it looks, what excites it, and what it compares an image with.

Maps are computed with every engine. Channels and training images need the run that trained the network, and torch.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from alexnet.data.parallel import Track, untracked
from alexnet.errors import AlexNetError, ImageError, SettingsError
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.explanation.activations import Numbers, activations
from alexnet.explanation.channels import strongest
from alexnet.explanation.gallery import Gallery
from alexnet.explanation.gradcam import Head, class_maps, covers
from alexnet.explanation.kernels import Kernels
from alexnet.explanation.neighbours import nearest
from alexnet.explanation.panel import draw
from alexnet.explanation.result import ClassMap, Explanation, Explanations
from alexnet.explanation.windows import fields
from alexnet.files.atomic import atomic_file
from alexnet.files.paths import expanded
from alexnet.images.decoding import Pixels, decode
from alexnet.images.preprocessing import fit, to_channels
from alexnet.inference.classifier import Classifier, Prediction, load
from alexnet.inference.engines.engine import EngineName
from alexnet.inference.inputs import ImageLike, as_iterable, expand, name_of, read_content
from alexnet.inference.probability import Floats

if TYPE_CHECKING:
    from alexnet.inference.engines.torch_engine import TorchEngine

N_PREDICTIONS = 5
# The second class has a map too if it is at least this share as probable as the first.
CLOSE = 0.5
# So many characters of an image's name are kept for its panel: file systems allow 255 bytes, up to 4 a character.
MOST_CHARACTERS = 50


def panel_folder(out: str | os.PathLike[str]) -> Path:
    """Return the folder to draw panels into, which need not exist.

    Raises:
        SettingsError: it is a file.
    """
    folder = expanded(out)
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{str(folder)!r} is a file; give a folder for the panels")
    return folder


class Explainer:
    """Explains what one network predicts.

    Args:
        classifier: the network.
        gallery: its training images; None where there are none to show.
        notes: what is left out and why, a line each.

    Attributes:
        notes: why there are no maps, if there are none; then those given.
    """

    def __init__(self, classifier: Classifier, gallery: Gallery | None = None, notes: Iterable[str] = ()) -> None:
        self.classifier = classifier
        self.gallery = gallery
        self._engine = classifier.engine
        self._net = classifier.artifact.architecture
        self._fields = fields(self._net)
        reason = covers(self._net)
        self._has_maps = reason is None
        self.notes = (*filter(None, [reason]), *notes)

    @cached_property
    def kernels(self) -> Kernels:
        """The kernels of conv1."""
        return Kernels.of(self._net, self._weights)

    @cached_property
    def _head(self) -> Head:
        return Head.of(self._net, self._weights)

    @cached_property
    def _weights(self) -> dict[str, Floats]:
        """The weights, read when they are first needed: a server that explains nothing has no use for them."""
        return self._engine.weights()

    @classmethod
    def of(
        cls, classifier: Classifier, *, data: str | os.PathLike[str] | None = None, track: Track = untracked
    ) -> "Explainer":
        """Return an explainer with the training images of the run that trained the network, if they are there.

        Args:
            classifier: the network.
            data: where the images of its run are now; by default where they were.
            track: how progress is shown.
        """
        artifact, missing = classifier.artifact, "neither training images nor channels are shown"
        if artifact.export is not None:
            return cls(classifier, notes=[f"{missing}: {str(artifact.folder)!r} is an exported model, and has no run"])
        run = ModelRun.of(artifact)
        if run is None:
            return cls(classifier, notes=[f"{missing}: {str(artifact.folder)!r} is a model without its run"])
        try:
            engine = cast("TorchEngine", classifier.engine)  # as of every model folder
            return cls(classifier, Gallery.of(run.folder, artifact, engine, data=data, track=track))
        except (AlexNetError, OSError) as error:
            return cls(classifier, notes=[f"{missing}: {error}"])

    def explain_each(
        self, images: ImageLike | Iterable[ImageLike | ImageError], out: str | os.PathLike[str] | None = None
    ) -> Iterator[Explanation]:
        """Yield an explanation of each image, in order. For an unreadable image, the result holds the error.

        Args:
            images: one or several, as for ``Classifier.predict_each``.
            out: a folder to draw into: one PNG for each image, with the image's name. Existing files are kept, and the
                new one gets a number. None: nothing is drawn.

        Raises:
            SettingsError: ``out`` is a file.
            TypeError: something is not an image.
        """
        folder = None if out is None else panel_folder(out)
        for image in (one for several in as_iterable(images) for one in expand(several)):
            yield self._explained(image, folder)

    def _explained(self, image: ImageLike | ImageError, folder: Path | None) -> Explanation:
        how, where = self.classifier.artifact.preprocessing, name_of(image)
        try:
            content = read_content(image)
            pixels = decode(content, min_side=how.store_size, max_pixels=self.classifier.max_pixels, where=where)
        except ImageError as error:
            return Explanation(where, error=error.reason)
        explanation = replace(self.explain_decoded(pixels), path=where)
        if folder is None:
            return explanation
        n = self._net.in_channels
        square = np.repeat(to_channels(fit(pixels, how.store_size, how.resize, how.library), n), 3 // n, axis=2)
        panel = draw(explanation, square, self.kernels, self.gallery)
        return replace(explanation, panel=str(_save(panel, folder, where)))

    def explain_decoded(self, pixels: Pixels) -> Explanation:
        """Return the explanation of a decoded image ``(H, W, 3)``, without a name."""
        (member,) = self.classifier.members
        image = np.array(member.preprocess(pixels))  # a copy: torch wants an array that it may write to
        (predictions,) = self.classifier.predict_decoded([(image,)], top=N_PREDICTIONS)
        if self.gallery is None:
            return Explanation("", predictions, self._maps(image, None, predictions))
        engine = cast("TorchEngine", self._engine)  # who has a gallery has layers
        seen = activations(engine.model, engine.normalised(image[None]))
        channels = (
            channel
            for name, peaks in seen.peaks.items()
            for channel in strongest(name, peaks, self._fields[name], self.gallery)
        )
        maps, neighbours = self._maps(image, seen.maps, predictions), nearest(seen.embeddings[0], self.gallery)
        return Explanation("", predictions, maps, tuple(channels), neighbours)

    def _maps(
        self, image: Pixels, read_by_pool: Numbers | None, predictions: tuple[Prediction, ...]
    ) -> tuple[ClassMap, ...]:
        """Return the map of the first class and, if it is close, of the second; none where Grad-CAM does not cover it.

        Args:
            image: the image as the network takes it, ``(S, S, C)``.
            read_by_pool: what the last pool reads of it, ``(1, C, h, w)``; None: the engine computes it.
            predictions: the predicted classes, most probable first.
        """
        if not self._has_maps:
            return ()
        maps = self._engine.maps(image[None]) if read_by_pool is None else read_by_pool
        close = [each.label for each in predictions[:2] if each.probability >= CLOSE * predictions[0].probability]
        classes = np.array([self.classifier.classes.index(label) for label in close])
        values = class_maps(self._head, np.repeat(maps, len(close), axis=0), classes)
        field = list(self._fields.values())[-1]
        return tuple(ClassMap(label, each, field) for label, each in zip(close, values, strict=True))


def explain(
    model: str | os.PathLike[str],
    images: ImageLike | Iterable[ImageLike | ImageError],
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    engine: EngineName = "auto",
    track: Track = untracked,
) -> Explanations:
    """Explain what a saved model predicts for images: one that cannot be read has an ``error`` and stops no other.

    Each explanation holds the predictions, where the image raises the logits of the first classes (Grad-CAM), the
    strongest channels of each layer with the training images that excite them too, and the nearest training images. The
    last two need the run that trained the model, and its images; ``notes`` says where they are missing.

    Args:
        model: a run folder, a model folder, an exported model, or ``hf:user/name`` on the Hugging Face hub.
        images: one or several, as for ``Classifier.predict_each``.
        out: a folder to draw into, one PNG for each image; None: nothing is drawn.
        data: where the images of the run are now; by default where they were.
        max_pixels: larger images are refused; as in training where not given.
        engine: what runs the model: see ``inference.engines.engine.open_engine``.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        SettingsError: ``out`` is a file, or the engine cannot run the model.
        TypeError: something is not an image.
    """
    explainer = Explainer.of(load(model, max_pixels=max_pixels, engine=engine), data=data, track=track)
    explained = tuple(explainer.explain_each(images, out))
    return Explanations(explained, explainer.kernels.structure, explainer.notes)


def _save(panel: Image.Image, folder: Path, where: str) -> Path:
    """Write a panel under its image's name, with a number where that file exists; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(where).stem.strip("<>")[:MOST_CHARACTERS] or "image"
    numbered = (folder / (f"{name}.png" if n == 1 else f"{name}-{n}.png") for n in itertools.count(1))
    path = next(path for path in numbered if not os.path.lexists(path))
    with atomic_file(path) as file:
        panel.save(file, "PNG")
    return path
