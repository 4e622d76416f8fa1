"""The models that are served, each under its name."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alexnet.errors import SettingsError
from alexnet.explanation.explain import Explainer
from alexnet.explanation.gradcam import covers
from alexnet.explanation.result import Explanation
from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Classifier, load
from alexnet.inference.engines.engine import EngineName
from alexnet.model.hub import PREFIX

# The ending of exported models that are one file.
FILE_ENDING = ".onnx"


@dataclass(frozen=True, eq=False)
class Served:
    """A model that is served.

    Attributes:
        name: how requests name it.
        classifier: the model.
        explain: returns the explanation of a decoded image ``(H, W, 3)``; None where Grad-CAM does not cover the model.
    """

    name: str
    classifier: Classifier
    explain: Callable[[Pixels], Explanation] | None

    def describe(self) -> dict[str, Any]:
        """Return what ``GET /model`` says of the model itself."""
        artifact = self.classifier.artifact
        return {
            "name": self.name,
            "classes": list(self.classifier.classes),
            "image_size": artifact.architecture.image_size,
            "n_channels": artifact.architecture.in_channels,
            "resize": artifact.preprocessing.resize,
            "engine": self.classifier.engine.title,
            "explains": self.explain is not None,
        }


def load_models(
    paths: Sequence[str | os.PathLike[str]], engine: EngineName = "auto", max_pixels: int | None = None
) -> dict[str, Served]:
    """Load models, in the order given; the first is the default.

    Args:
        paths: run folders, model folders, exported models, or ``hf:user/name``.
        engine: what computes them.
        max_pixels: larger images are refused; by default as in training.

    Raises:
        ArtifactError: a model is missing or damaged, or an exported one disagrees with its own test on this CPU.
        SettingsError: two models have the same name, or the engine cannot run one.
    """
    models: dict[str, Served] = {}
    for path in paths:
        name = name_of(path)
        if name in models:
            raise SettingsError(f"two models are named {name!r}; rename the folder or the file of one")
        classifier = load(path, max_pixels=max_pixels, engine=engine)
        models[name] = Served(name, classifier, explainer_of(classifier))
    return models


def name_of(path: str | os.PathLike[str]) -> str:
    """Return the name of a served model: that of its run folder or file, or its name on the hub without the user."""
    text = os.fspath(path)
    if text.startswith(PREFIX):
        name = text.partition("@")[0].rpartition("/")[2]
    else:
        place = Path(os.path.abspath(text))  # noqa: PTH100  # without "..", and links keep their names
        place = place.parent if place.name == "model" and place.parent.name else place
        name = place.stem if place.suffix == FILE_ENDING else place.name
    # File names may hold bytes that are not text.
    return name.encode("utf-8", "backslashreplace").decode()


def explainer_of(classifier: Classifier) -> Callable[[Pixels], Explanation] | None:
    """Return a function that explains one decoded image ``(H, W, 3)``; None if the network is not covered."""
    if covers(classifier.artifact.architecture) is not None:
        return None
    return Explainer(classifier).explain_decoded


def default_of(models: Mapping[str, Served]) -> str:
    """Return the name of the model that a request without a name gets."""
    return next(iter(models))
