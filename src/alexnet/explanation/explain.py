"""Explain what a network predicts for images: where it looks, what excites it, and what it compares an image with."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.data.parallel import Track, untracked
from alexnet.errors import AlexNetError, ImageError, SettingsError
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.explanation.activations import Activations, activations
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
from alexnet.inference.engines.torch_engine import TorchEngine
from alexnet.inference.inputs import ImageLike, as_iterable, expand, name_of, read_content

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
        kernels: the kernels of conv1.
        notes: why there are no maps, if there are none; then those given.
    """

    def __init__(self, classifier: Classifier, gallery: Gallery | None = None, notes: Iterable[str] = ()) -> None:
        self.classifier = classifier
        self.gallery = gallery
        self._engine = _with_layers(classifier)
        net = classifier.artifact.architecture
        tensors = self._engine.weights()
        self.kernels = Kernels.of(net, tensors)
        self._fields = fields(net)
        reason = covers(net)
        self._head = Head.of(net, tensors) if reason is None else None
        self.notes = (*filter(None, [reason]), *notes)

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
        run = ModelRun.of(artifact)
        if run is None:
            return cls(classifier, notes=[f"{missing}: {str(artifact.folder)!r} is a model without its run"])
        try:
            return cls(classifier, Gallery.of(run.folder, artifact, _with_layers(classifier), data=data, track=track))
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
        explanation = replace(self._explain(pixels), path=where)
        if folder is None:
            return explanation
        n = self.classifier.artifact.architecture.in_channels
        square = np.repeat(to_channels(fit(pixels, how.store_size, how.resize), n), 3 // n, axis=2)
        panel = draw(explanation, square, self.kernels, self.gallery)
        return replace(explanation, panel=str(_save(panel, folder, where)))

    def _explain(self, pixels: Pixels) -> Explanation:
        """Return the explanation of a decoded image ``(H, W, 3)``, still without a name."""
        artifact = self.classifier.artifact
        predictions = self.classifier.predict(pixels)[0].predictions
        batch = artifact.preprocessing.apply(pixels, artifact.architecture.image_size)[None]
        seen = activations(self._engine.model, self._engine.normalised(np.array(batch)))
        maps = self._maps(seen, predictions) if self._head is not None else ()
        if self.gallery is None:
            return Explanation("", predictions, maps)
        channels = (
            channel
            for name, peaks in seen.peaks.items()
            for channel in strongest(name, peaks, self._fields[name], self.gallery)
        )
        return Explanation("", predictions, maps, tuple(channels), nearest(seen.embeddings[0], self.gallery))

    def _maps(self, seen: Activations, predictions: tuple[Prediction, ...]) -> tuple[ClassMap, ...]:
        """Return the map of the first class and, if it is close, of the second."""
        assert self._head is not None
        close = [each.label for each in predictions[:2] if each.probability >= CLOSE * predictions[0].probability]
        classes = np.array([self.classifier.classes.index(label) for label in close])
        maps, flat = (np.repeat(each, len(close), axis=0) for each in (seen.maps, seen.flat))
        values = class_maps(self._head, maps, flat, classes)
        field = list(self._fields.values())[-1]
        return tuple(ClassMap(label, each, field) for label, each in zip(close, values, strict=True))


def explain(
    model: str | os.PathLike[str],
    images: ImageLike | Iterable[ImageLike | ImageError],
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    track: Track = untracked,
) -> Explanations:
    """Explain what a saved model predicts for images: one that cannot be read has an ``error`` and stops no other.

    Each explanation holds the predictions, where the image raises the logits of the first classes (Grad-CAM), the
    strongest channels of each layer with the training images that excite them too, and the nearest training images. The
    last two need the run that trained the model, and its images; ``notes`` says where they are missing.

    Args:
        model: a run folder, a model folder, or ``hf:user/name`` on the Hugging Face hub.
        images: one or several, as for ``Classifier.predict_each``.
        out: a folder to draw into, one PNG for each image; None: nothing is drawn.
        data: where the images of the run are now; by default where they were.
        max_pixels: larger images are refused; as in training where not given.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        SettingsError: ``out`` is a file.
        TypeError: something is not an image.
    """
    explainer = Explainer.of(load(model, max_pixels=max_pixels), data=data, track=track)
    explained = tuple(explainer.explain_each(images, out))
    return Explanations(explained, explainer.kernels.structure, explainer.notes)


def _with_layers(classifier: Classifier) -> TorchEngine:
    engine = classifier.engine
    if not isinstance(engine, TorchEngine):
        raise SettingsError(f"{str(classifier.artifact.folder)!r} is an export; explain the run or the model folder")
    return engine


def _save(panel: Image.Image, folder: Path, where: str) -> Path:
    """Write a panel under its image's name, with a number where that file exists; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(where).stem.strip("<>")[:MOST_CHARACTERS] or "image"
    numbered = (folder / (f"{name}.png" if n == 1 else f"{name}-{n}.png") for n in itertools.count(1))
    path = next(path for path in numbered if not os.path.lexists(path))
    with atomic_file(path) as file:
        panel.save(file, "PNG")
    return path
