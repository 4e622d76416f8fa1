"""Weights of any AlexNet into a network: from a model, a file, torchvision or the hub. Nothing is ever unpickled."""

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from alexnet.errors import ArtifactError, SettingsError
from alexnet.inference.artifact import CONFIG, load_artifact, load_model
from alexnet.network.model import AlexNet
from alexnet.network.pixels import PixelKind
from alexnet.network.weights import Loaded, load_tensors
from alexnet.paths import expanded

# The name that stands for the weights torchvision publishes; a folder of that name is ./torchvision.
TORCHVISION = "torchvision"

_ENDINGS = (".pth", ".pt", ".safetensors")
# alexnet-owt-7be5be79.pth: torch's way of publishing a file together with how its SHA-256 begins.
_HASHED = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def load_weights(
    model: AlexNet,
    weights: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    pixels: PixelKind = "rgb",
    partial: bool = False,
) -> Loaded:
    """Give a network the weights of another AlexNet, whatever it calls its layers, and say what became of them.

    Other classes, channels of pictures and picture sizes are no obstacle: see ``network.weights.load_tensors``.

    Args:
        model: the network; it is changed only where nothing is refused.
        weights: a run folder, a model folder, a ``.safetensors`` or ``.pth`` file, ``torchvision`` for the weights that
            it publishes, or the name of a model on the Hugging Face hub.
        classes: what the network's logits stand for; the last layer of a model of other classes is not taken over.
            Where either is not known, as of files, as many classes are the same classes.
        pixels: what the weights were trained on: ``rgb`` as ours, ``bgr``, or ``caffe``.
        partial: take what fits, and leave the rest.

    Raises:
        ArtifactError: there are no weights, they cannot be read or downloaded, or do not fit.
        SettingsError: unknown pixels, or other than ``rgb`` for a model of ours.
    """
    where = os.fspath(weights)
    path = expanded(where)
    theirs: Sequence[str] | None = None
    way_out = ""
    if where == TORCHVISION:
        tensors, theirs = _download()
    elif path.is_file():
        tensors = _read(path)
    elif path.suffix in _ENDINGS and not path.is_dir():
        raise ArtifactError(f"there are no weights at {where!r}; give a run, a model folder or a file of weights")
    else:
        artifact = load_artifact(weights)
        tensors, theirs = load_model(artifact).state_dict(), artifact.classes
        way_out = f"; to train the network they are of, add --architecture {shlex.quote(str(artifact.folder / CONFIG))}"
        if pixels != "rgb":
            raise SettingsError(f"pixels are {pixels!r}, but the model {where!r} was trained on rgb; leave them out")
    same_classes = classes is None or theirs is None or tuple(classes) == tuple(theirs)
    try:
        return load_tensors(model, tensors, where=where, pixels=pixels, partial=partial, same_classes=same_classes)
    except ArtifactError as error:
        raise ArtifactError(f"{error}{way_out}") from error


def absolute(weights: str) -> str:
    """Return a path as it is from anywhere; a name, of torchvision or the hub, stays as it is."""
    path = expanded(weights)
    return str(path.absolute()) if weights != TORCHVISION and path.exists() else weights


def _download() -> tuple[dict[str, Tensor], Sequence[str]]:
    """Return torchvision's weights, kept where torchvision itself keeps them, and what their logits stand for."""
    from torchvision.models import AlexNet_Weights

    published = AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(published.url).path).name)
    if not file.exists():
        hashed = _HASHED.search(file.name)
        assert hashed, "torchvision names its files by their hashes"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # To another name first: what is half there, or has another hash, never appears.
            torch.hub.download_url_to_file(published.url, str(file), hashed[1], progress=sys.stderr.isatty())
        except (OSError, HTTPException, RuntimeError) as error:
            reason = str(getattr(error, "reason", error)).splitlines()[0]
            raise ArtifactError(
                f"cannot download torchvision's weights from {published.url}: {reason}; try again, or give the file"
            ) from error
    return _read(file), published.meta["categories"]


def _read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises:
        ArtifactError: it cannot be read, is not what its name says, or holds other things than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_hash(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it ends too early").splitlines()[0]
        raise ArtifactError(f"cannot read the weights in {str(path)!r}: {reason}") from error
    except Exception as error:  # pickle's own, of many kinds, which advise to execute what is not tensors: we never do
        raise ArtifactError(
            f"{str(path)!r} holds more than tensors, or is damaged, and is not read; save model.state_dict() instead"
        ) from error
    for wrapped in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(wrapped), dict):
            found = found[wrapped]
    if not isinstance(found, dict) or not all(isinstance(each, Tensor) for each in found.values()):
        raise ArtifactError(f"{str(path)!r} holds no tensors by name; save model.state_dict()")
    return found


def _check_hash(path: Path) -> None:
    named = _HASHED.search(path.name)
    if named is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named[1]):
        raise ArtifactError(
            f"{str(path)!r} is damaged: its SHA-256 begins with {digest[: len(named[1])]}, and not as its name says; "
            "download it again, or rename it if the name means something else"
        )
