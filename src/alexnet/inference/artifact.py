"""The saved model: a folder of ``config.json``, ``model.safetensors`` and a README. Nothing in it is ever unpickled.

``config.json`` holds all that an answer depends on besides the weights: the architecture, the class names in the order
of the logits, the preprocessing; and the provenance, for people.
"""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from safetensors import SafetensorError

from alexnet.data.choices import Resize
from alexnet.data.fingerprint import Fingerprints, fingerprints_from_json, fingerprints_to_json
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import ArtifactError, SettingsError
from alexnet.network.architecture import Architecture
from alexnet.whole import whole_folder

if TYPE_CHECKING:
    from torch import Tensor

    from alexnet.network.model import AlexNet

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
README = "README.md"
# 2: every layer has its own norm, where the architecture had one for all.
FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A saved model, its weights still on disk.

    Attributes:
        folder: where it lies.
        architecture: what the network is.
        classes: class names, in the order of the logits.
        preprocessing: what happens to a picture before the network sees it.
        provenance: how it came to be.
        fingerprints: which pictures it learned from (``train``) and was chosen by (``val``), so that it is not judged
            on those. Empty where that is not known.
    """

    folder: Path
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Any]
    fingerprints: Fingerprints = field(default_factory=dict)


def save_artifact(artifact: Artifact, weights: "dict[str, Tensor]", readme: str) -> None:
    """Write a model to ``artifact.folder``, whole or not at all; a model already there is replaced."""
    folder = artifact.folder
    config = {
        "format": FORMAT,
        "architecture": artifact.architecture.to_json(),
        "classes": list(artifact.classes),
        "preprocessing": asdict(artifact.preprocessing),
        "provenance": dict(artifact.provenance),
        "fingerprints": fingerprints_to_json(artifact.fingerprints),
    }
    with whole_folder(folder) as unfinished:
        save_tensors(weights, unfinished / WEIGHTS)
        (unfinished / CONFIG).write_text(json.dumps(config, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        # Names of folders may hold bytes that are no text.
        (unfinished / README).write_text(readme, encoding="utf-8", errors="backslashreplace")


def save_tensors(tensors: "dict[str, Tensor]", path: Path) -> None:
    """Write tensors of any device and memory format as safetensors.

    Raises:
        OSError: the disk is full, or may not be written to.
    """
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        raise OSError(f"cannot write {str(path)!r}: {error}") from error


def load_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Read a saved model's ``config.json``, given its folder, that of the run that made it, or ``hf:user/name``.

    Raises:
        ArtifactError: there is no model, or its ``config.json`` is not one of ours.
    """
    from alexnet.inference.hub import find_model  # which reads what it finds with this function

    folder = _find(find_model(path))
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {str(file)!r}: {error}") from error
    if not isinstance(config, dict) or "architecture" not in config or "classes" not in config:
        raise ArtifactError(f"{str(file)!r} is not of an alexnet model: it names no architecture and classes")
    if config.get("format") != FORMAT:
        raise ArtifactError(
            f"{str(file)!r} has format {config.get('format')!r}, this version reads format {FORMAT}; use the "
            "version of alexnet that made it, or train it again"
        )
    try:
        artifact = Artifact(
            folder=folder,
            architecture=Architecture.from_json(config["architecture"]),
            classes=tuple(config["classes"]),
            preprocessing=_preprocessing(config["preprocessing"]),
            provenance=config.get("provenance", {}),
            fingerprints=fingerprints_from_json(config.get("fingerprints", {})),
        )
    except (SettingsError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{str(file)!r} is damaged: {error}") from error
    if len(artifact.classes) != artifact.architecture.n_classes:
        raise ArtifactError(
            f"{str(file)!r} is damaged: {len(artifact.classes)} class names for "
            f"{artifact.architecture.n_classes} classes"
        )
    return artifact


def load_model(artifact: Artifact) -> "AlexNet":
    """Build the network and give it the saved weights, ready to answer.

    Raises:
        ArtifactError: ``model.safetensors`` is missing, damaged, of another network, or holds what is no number.
    """
    from safetensors.torch import load_file

    from alexnet.network.model import without_weights
    from alexnet.network.weights import not_finite

    file = artifact.folder / WEIGHTS
    try:
        weights = load_file(file)
    except FileNotFoundError:
        raise ArtifactError(f"{str(artifact.folder)!r} has no {WEIGHTS}; copy the whole model folder again") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{str(file)!r} is damaged ({error}); copy the model folder again") from error
    model = without_weights(artifact.architecture)
    expected = model.state_dict()
    mismatch = _mismatch(expected, weights)
    if mismatch:
        raise ArtifactError(f"{str(file)!r} does not fit its {CONFIG}: {mismatch}; they are of different models")
    model.load_state_dict({name: weights[name].to(expected[name].dtype) for name in expected}, assign=True)
    if name := not_finite(model.state_dict()):
        raise ArtifactError(f"{str(file)!r} is of no use: {name} holds NaN or infinity; train the model again")
    return model.eval()


def _mismatch(expected: "dict[str, Tensor]", found: "dict[str, Tensor]") -> str | None:
    for name, tensor in expected.items():
        if name not in found:
            return f"it lacks {name}"
        if found[name].shape != tensor.shape:
            return f"{name} is {tuple(found[name].shape)}, it should be {tuple(tensor.shape)}"
    unknown = sorted(set(found) - set(expected))
    return f"it holds {unknown[0]}, which this network lacks" if unknown else None


def _find(path: Path) -> Path:
    if (path / "model" / CONFIG).exists():
        return path / "model"
    if (path / CONFIG).exists():
        return path
    if (path / "checkpoint").is_dir():
        raise ArtifactError(
            f"the run {str(path)!r} has not ended and has no model yet; finish it with: "
            f"alexnet train --resume {shlex.quote(str(path))}"
        )
    raise ArtifactError(f"{str(path)!r} holds no model: there is no {CONFIG}; give the folder of a run or of a model")


def _preprocessing(saved: dict[str, Any]) -> Preprocessing:
    known = {field.name for field in fields(Preprocessing)}
    unknown = sorted(set(saved) - known)
    if unknown or saved["resize"] not in get_args(Resize):
        what = f"{unknown[0]!r}" if unknown else f"resize {saved['resize']!r}"
        raise SettingsError(f"this version does not know the preprocessing {what}")
    return Preprocessing(**{**saved, "mean": tuple(saved["mean"]), "std": tuple(saved["std"])})
