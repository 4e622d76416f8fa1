"""Weights of any AlexNet into a network: from a model, a file, memory, torchvision or the hub. Nothing is unpickled."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from alexnet.data.fingerprint import SeenImages
from alexnet.data.record import SPLITS_FILE, seen_by
from alexnet.data.sources.vocabulary import one_name
from alexnet.errors import ArtifactError, SettingsError
from alexnet.files.paths import expanded
from alexnet.images.pixels import PixelKind
from alexnet.model.artifact import CONFIG, WEIGHTS, Artifact, load_model
from alexnet.model.hub import is_of_hub
from alexnet.model.opening import load_artifact
from alexnet.network.module.model import AlexNet
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
    """Give a network the weights of another AlexNet, whatever it calls its layers, and say what became of them.

    Other classes, channels of images and image sizes are no obstacle: see ``network.weights.load_tensors``.

    Args:
        model: the network; it is changed only where nothing is refused.
        weights: a run folder, a model folder, a ``.safetensors``, ``.pth`` or ``.npz`` file, a ``state_dict()``,
            ``torchvision`` for the weights that it publishes (``torchvision:IMAGENET1K_V1`` where something here is
            called so too), or ``hf:user/name`` for a model on the Hugging Face hub. A ``Path`` is never a name. In a
            file or a dictionary, the one dictionary of tensors is found wherever it lies.
        classes: what the network's logits stand for; the last layer of a model of other classes is not taken over.
            Where either is not known, as of files, as many classes are the same classes.
        pixels: what the weights were trained on: ``rgb`` as ours, ``bgr``, or ``caffe``.
        partial: take what fits, and leave the rest.
        key: of several dictionaries of tensors, the keys that lead to the one to take, joined by dots: ``model_ema``.

    Raises:
        ArtifactError: there are no weights, they cannot be read or downloaded, or do not fit.
        SettingsError: unknown pixels; or pixels other than ``rgb``, or a key, for a model of ours.
        TypeError: the weights are neither a path, a name nor a mapping.
    """
    there = _find(weights, key)
    if there.artifact is not None and pixels != "rgb":
        raise SettingsError(f"pixels are {pixels!r}, but the model {there.where!r} was trained on rgb; leave them out")
    same_classes = (
        classes is None or there.classes is None or [*map(one_name, classes)] == [*map(one_name, there.classes)]
    )
    try:
        return load_tensors(
            model, there.tensors, where=there.where, pixels=pixels, partial=partial, same_classes=same_classes
        )
    except ArtifactError as error:
        if there.artifact is None:
            raise
        config = shlex.quote(str(there.artifact.folder / CONFIG))
        raise ArtifactError(f"{error}; to train the network they are of, add --architecture {config}") from error


def seen_before(weights: str | os.PathLike[str]) -> SeenImages:
    """Return which images weights learned from and were chosen by, as far as they say.

    Models and runs say so, and a file in one of those. Torchvision's have seen ImageNet, which is not asked after.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        DataError: a run's record is damaged.
    """
    if published.is_published(weights):
        return SeenImages()
    path = expanded(weights)
    if is_of_hub(weights) or path.is_dir():
        return load_artifact(weights).seen or SeenImages(is_all=False)
    if path.name == WEIGHTS and (path.parent / CONFIG).is_file():
        return load_artifact(path.parent).seen or SeenImages(is_all=False)
    # RUN/checkpoint/000003-00000000/model.safetensors
    checkpoints = path.absolute().parent.parent
    is_of_run = checkpoints.name == "checkpoint" and (checkpoints.parent / SPLITS_FILE).is_file()
    return seen_by(checkpoints.parent) if is_of_run else SeenImages(is_all=False)


def absolute(weights: str) -> str:
    """Return weights as they are called from anywhere: a path in full, torchvision's by the name that is only theirs.

    Raises:
        ArtifactError: they may be torchvision's or what lies here.
    """
    if published.is_published(weights):
        return published.FULL_NAME
    path = expanded(weights)
    return str(path.absolute()) if not is_of_hub(weights) and path.exists() else weights


@dataclass(frozen=True)
class _Weights:
    """Weights, what errors call them, and what is known of them: their classes, and the model of ours they are of."""

    where: str
    tensors: Mapping[str, Tensor]
    classes: Sequence[str] | None = None
    artifact: Artifact | None = None


def _find(weights: str | os.PathLike[str] | Mapping[str, object], key: str | None) -> _Weights:
    if isinstance(weights, Mapping):
        where = "the dictionary given"
        return _Weights(where, find_tensors(weights, where, key))
    if not isinstance(weights, str | os.PathLike):
        way_out = "give its state_dict()" if hasattr(weights, "state_dict") else "give a path, a name or a state_dict"
        raise TypeError(f"weights are of the type {type(weights).__name__}; {way_out}")
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
