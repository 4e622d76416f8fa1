"""Load weights from a model, a file, memory, torchvision or the Hugging Face hub. Nothing is unpickled."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from alexnet.data.fingerprint import SeenImages
from alexnet.data.record import SPLITS_FILE, seen_by
from alexnet.data.sources.vocabulary import nfc
from alexnet.errors import ArtifactError, SettingsError
from alexnet.files.paths import expanded
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.pixels import PixelKind
from alexnet.model.artifact import CONFIG, WEIGHTS, Artifact, load_model
from alexnet.model.hub import is_of_hub
from alexnet.model.opening import load_artifact
from alexnet.network.module.model import AlexNet
from alexnet.network.value.architecture import Architecture
from alexnet.network.weights.loading import Loaded, load_tensors
from alexnet.pretrained import published
from alexnet.pretrained.state_dict import find_tensors
from alexnet.pretrained.weight_files import read_weights

_ENDINGS = (".pth", ".pt", ".safetensors", ".npz", ".bin", ".ckpt")


def load_weights(
    model: AlexNet,
    weights: str | os.PathLike[str] | Mapping[str, object],
    *,
    classes: Sequence[str] | None = None,
    pixels: PixelKind = "rgb",
    partial: bool = False,
    key: str | None = None,
) -> Loaded:
    """Load the weights of another AlexNet into a network, whatever its layer names, and report what was loaded.

    Classes, image channels and image size may differ: see ``network.weights.loading.load_tensors``.

    Args:
        model: the network. It is not changed if there is an error.
        weights: a run folder, a model folder, a ``.safetensors``, ``.pth`` or ``.npz`` file, a ``state_dict()``,
            ``torchvision`` for the weights that it publishes (``torchvision:IMAGENET1K_V1`` if a file here is named
            torchvision), or ``hf:user/name`` for a model on the Hugging Face hub. A ``Path`` is always a path. In a
            file or a dictionary, the dictionary of tensors may be at any depth.
        classes: the network's class names. The last layer of a model with other classes is not loaded. If the names
            are unknown, as for files, only the number of classes counts.
        pixels: the pixels that the weights were trained on: ``rgb`` as in this package, ``bgr`` or ``caffe``.
        partial: load what fits and ignore the rest.
        key: the keys of the dictionary to load if there are several, joined by dots, such as ``model_ema``.

    Raises:
        ArtifactError: there are no weights, they cannot be read or downloaded, or do not fit.
        SettingsError: unknown pixels; or a model of this package with a key or with pixels other than ``rgb``.
        TypeError: the weights are neither a path, a name nor a mapping.
    """
    found = _find(weights, key)
    if found.artifact is not None and pixels != "rgb":
        raise SettingsError(f"pixels are {pixels!r}, but the model {found.where!r} was trained on rgb; leave them out")
    same_classes = classes is None or found.classes is None or [*map(nfc, classes)] == [*map(nfc, found.classes)]
    try:
        return load_tensors(
            model,
            found.tensors,
            where=found.where,
            pixels=pixels,
            partial=partial,
            same_classes=same_classes,
            trained=None if found.artifact is None else found.artifact.architecture,
        )
    except ArtifactError as error:
        if found.artifact is None:
            raise
        config = shlex.quote(str(found.artifact.folder / CONFIG))
        raise ArtifactError(f"{error}; to train the same network as theirs, add --architecture {config}") from error


def seen_before(weights: str | os.PathLike[str]) -> SeenImages:
    """Return which images weights were trained and validated on, as far as that is known.

    It is known for models, runs, and the files in them. Torchvision's weights count as having seen none: they saw
    ImageNet.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        DataError: a run's record is damaged.
    """
    if published.is_published(weights):
        return SeenImages()
    artifact, run = _origin(weights)
    if artifact is not None:
        return artifact.seen or SeenImages(is_all=False)
    return SeenImages(is_all=False) if run is None else seen_by(run)


def saved_architecture(weights: str | os.PathLike[str]) -> Architecture | None:
    """Return the architecture of a model or a run, or of a file in one; None where it is not recorded.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
    """
    if published.is_published(weights):
        return None
    artifact, run = _origin(weights)
    if artifact is not None:
        return artifact.architecture
    if run is None:
        return None
    try:
        resolved = parse_object((run / "settings.json").read_text(encoding="utf-8")).get("resolved")
        return Architecture.from_json(as_kind(dict[str, Any], resolved, "resolved")["architecture"])
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"cannot read the architecture in {str(run / 'settings.json')!r}: {error}") from error


def _origin(weights: str | os.PathLike[str]) -> tuple[Artifact | None, Path | None]:
    """Return the model that weights belong to, or else the run that they are a checkpoint of."""
    path = expanded(weights)
    if is_of_hub(weights) or path.is_dir():
        return load_artifact(weights), None
    if path.name == WEIGHTS and (path.parent / CONFIG).is_file():
        return load_artifact(path.parent), None
    # RUN/checkpoint/000003-00000000/model.safetensors
    checkpoints = path.absolute().parent.parent
    is_of_run = checkpoints.name == "checkpoint" and (checkpoints.parent / SPLITS_FILE).is_file()
    return None, checkpoints.parent if is_of_run else None


def absolute(weights: str) -> str:
    """Return a name for weights that is valid in any folder: an absolute path, or torchvision's full name.

    Raises:
        ArtifactError: they may be torchvision's or a file in this folder.
    """
    if published.is_published(weights):
        return published.FULL_NAME
    path = expanded(weights)
    return str(path.absolute()) if not is_of_hub(weights) and path.exists() else weights


@dataclass(frozen=True)
class _Weights:
    """Weights and their name in errors; their classes and their saved model, if known."""

    where: str
    tensors: Mapping[str, Tensor]
    classes: Sequence[str] | None = None
    artifact: Artifact | None = None


def _find(weights: str | os.PathLike[str] | Mapping[str, object], key: str | None) -> _Weights:
    if isinstance(weights, Mapping):
        where = "the dictionary given"
        return _Weights(where, find_tensors(weights, where, key))
    if not isinstance(weights, str | os.PathLike):
        advice = "give its state_dict()" if hasattr(weights, "state_dict") else "give a path, a name or a state_dict"
        raise TypeError(f"weights cannot be {type(weights).__name__}; {advice}")
    where = os.fspath(weights)
    if published.is_published(weights):
        file, classes = published.download()
        published.check_hash(file)
        return _Weights(where, find_tensors(read_weights(file), where, key), classes)
    path = expanded(where)
    if path.is_file() and not is_of_hub(weights):
        published.check_hash(path)
        return _Weights(where, find_tensors(read_weights(path), where, key))
    if path.suffix in _ENDINGS and not path.is_dir() and not is_of_hub(weights):
        raise ArtifactError(f"there are no weights at {where!r}; give a run, a model folder or a file of weights")
    artifact = load_artifact(weights)
    if key is not None:
        raise SettingsError(f"key is {key!r}, but the model {where!r} has one dictionary of weights; leave it out")
    return _Weights(where, load_model(artifact).state_dict(), artifact.classes, artifact)
