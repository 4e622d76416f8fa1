"""The saved model: a folder of ``config.json``, ``model.safetensors`` and a README. Nothing in it is ever unpickled.

``config.json`` holds all that a prediction depends on besides the weights: the architecture, the class names in the
order of the logits, the preprocessing, the temperatures. It also holds the provenance, for people. An exported model
holds the same object as its metadata, with what is in ``exported.Export``.
"""

import json
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.data.fingerprint import SeenImages
from alexnet.errors import ArtifactError, shown
from alexnet.files.atomic import atomic_folder
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.preprocessing import Preprocessing
from alexnet.model.exported import Export
from alexnet.network.value.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

    from alexnet.network.module.model import AlexNet

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
README = "README.md"
# In format 1 the architecture had one norm for all layers; in format 2 every layer has its own.
FORMAT = 2
# The largest side of a JPEG; stored images have a few hundred pixels.
LARGEST_SIDE = 65_535
# Dividing by less would amplify nothing but noise.
MIN_STD = 1e-3
# Far beyond what any network needs. Logits divided by much less would overflow.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100.0


@dataclass(frozen=True)
class Calibration:
    """Temperatures that make a network's probabilities agree with how often it is right: logits are divided by them.

    Attributes:
        temperature: for one view of each image.
        ten_views: for the mean over ten views, whose logarithm is divided.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """

    temperature: float = 1.0
    ten_views: float = 1.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not LEAST_TEMPERATURE <= value <= MOST_TEMPERATURE:
                raise ValueError(f"{name} is {value}; it must be from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE}")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A saved model, its weights still on disk.

    Attributes:
        folder: the model folder; of an exported model the file, or for OpenVINO the folder.
        architecture: the network.
        classes: class names, in the order of the logits.
        preprocessing: how images are prepared for the network.
        calibration: the temperatures of its probabilities; 1 for models of earlier versions.
        provenance: how it was trained.
        seen: the images that it was trained and validated on, so that it is not evaluated on them; None where that
            is unknown.
        export: what is known of an exported model; None for a model folder. An exported model resizes images with
            Pillow everywhere, so that it predicts the same with and without torch.
    """

    folder: Path
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Any]
    calibration: Calibration = Calibration()
    seen: SeenImages | None = None
    export: Export | None = None

    def __post_init__(self) -> None:
        if self.export is not None:
            object.__setattr__(self, "preprocessing", replace(self.preprocessing, library="pillow"))


def resizing_alike(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Return models that see the same pixels: if one of them resizes images with Pillow, all do."""
    library = next((each.preprocessing.library for each in artifacts if each.preprocessing.library), None)
    return [replace(each, preprocessing=replace(each.preprocessing, library=library)) for each in artifacts]


def config_of(artifact: Artifact) -> dict[str, Any]:
    """Return what is saved of a model besides its weights, as a JSON-ready dictionary that ``artifact_of`` reads."""
    how = asdict(artifact.preprocessing)
    config = {
        "format": FORMAT,
        "architecture": artifact.architecture.to_json(),
        "classes": list(artifact.classes),
        "preprocessing": {name: value for name, value in how.items() if value is not None},
        "calibration": asdict(artifact.calibration),
        "provenance": dict(artifact.provenance),
        "fingerprints": None if artifact.seen is None else artifact.seen.to_json(),
    }
    return config if artifact.export is None else {**config, "export": artifact.export.to_json()}


def save_artifact(artifact: Artifact, weights: "dict[str, Tensor]", readme: str) -> None:
    """Write a model to ``artifact.folder``, whole or not at all.

    Raises:
        FileExistsError: the folder exists already. It is left as it is.
        OSError: the disk is full, or cannot be written to.
    """
    config = json.dumps(config_of(artifact), indent=2, allow_nan=False)
    with atomic_folder(artifact.folder) as unfinished:
        save_tensors(weights, unfinished / WEIGHTS)
        (unfinished / CONFIG).write_text(config + "\n", encoding="utf-8")
        # Folder names may hold bytes that are not text.
        (unfinished / README).write_text(readme, encoding="utf-8", errors="backslashreplace")


def save_tensors(tensors: "dict[str, Tensor]", path: Path) -> None:
    """Write tensors of any device and memory format as safetensors, with the permissions of the umask.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        path.touch()
        mode = path.stat().st_mode
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path)
        # safetensors replaces the file by one that only this user can read.
        path.chmod(stat.S_IMODE(mode))
    except SafetensorError as error:
        raise OSError(f"cannot write {str(path)!r}: {error}") from error


def read_artifact(folder: Path) -> Artifact:
    """Read the ``config.json`` of a model folder.

    Raises:
        ArtifactError: it cannot be read, or is not an alexnet model.
    """
    file = folder / CONFIG
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {str(file)!r}: {error}") from error
    return artifact_of(folder, parsed_config(text, file), file)


def parsed_config(text: str, file: Path) -> dict[str, Any]:
    """Return the JSON object in a text.

    Raises:
        ArtifactError: it is no JSON object. The message names ``file``.
    """
    try:
        return parse_object(text)
    except ValueError as error:
        raise ArtifactError(f"cannot read {str(file)!r}: {error}") from error


def artifact_of(path: Path, config: dict[str, Any], file: Path | None = None) -> Artifact:
    """Return the model that the dictionary of ``config_of`` describes.

    Args:
        path: the model folder or the exported model.
        config: the dictionary.
        file: the file that holds it, for errors; by default ``path``.

    Raises:
        ArtifactError: it is damaged, of another version, or not of an alexnet model.
    """
    where = str(file or path)
    if "architecture" not in config or "classes" not in config:
        raise ArtifactError(f"{where!r} is not of an alexnet model: it has no architecture or no classes")
    if config.get("format") != FORMAT:
        raise ArtifactError(
            f"{where!r} has format {shown(config.get('format'))}, this version reads format {FORMAT}; use the "
            "version of alexnet that made it, or train it again"
        )
    try:
        return _artifact(path, config)
    except ValueError as error:
        advice = "export the model again" if "export" in config else "copy the model folder again"
        raise ArtifactError(f"{where!r} is damaged: {error}; {advice}") from error


def _artifact(folder: Path, config: dict[str, Any]) -> Artifact:
    """Return the model that a JSON object describes.

    Raises:
        ValueError: a value is missing, of the wrong kind, impossible, or does not fit another one.
    """
    net = Architecture.from_json(config["architecture"])
    classes = as_kind(tuple[str, ...], config["classes"], "classes")
    if len(classes) != net.n_classes:
        raise ValueError(f"{len(classes)} class names for {net.n_classes} classes")
    if len(set(classes)) < len(classes):
        twice = next(label for place, label in enumerate(classes) if label in classes[:place])
        raise ValueError(f"the class {shown(twice)} is listed twice")
    if "preprocessing" not in config:
        raise ValueError("it has no 'preprocessing'")
    saved = as_kind(dict[str, Any], config["preprocessing"], "preprocessing")
    size = saved.pop("image_size", net.image_size)  # older models store it here too
    if size != net.image_size:
        raise ValueError(f"image_size is {net.image_size} in architecture and {shown(size)} in preprocessing")
    how = as_kind(Preprocessing, saved, "preprocessing")
    _refuse_impossible(how, net)
    provenance = as_kind(dict[str, Any], config.get("provenance", {}), "provenance")
    if (top1 := as_kind(float | None, provenance.get("val_top1"), "val_top1")) is not None and not 0 <= top1 <= 1:
        raise ValueError(f"val_top1 is {top1}; it is a share, from 0 to 1")
    fingerprints, export = config.get("fingerprints"), config.get("export")
    return Artifact(
        folder=folder,
        architecture=net,
        classes=classes,
        preprocessing=how,
        provenance=provenance,
        calibration=as_kind(Calibration, config.get("calibration", {}), "calibration"),
        seen=None if fingerprints is None else SeenImages.from_json(fingerprints),
        export=None if export is None else Export.from_json(export, net),
    )


def _refuse_impossible(how: Preprocessing, net: Architecture) -> None:
    """Refuse a preprocessing that does not fit the network, or is impossible.

    Raises:
        ValueError: a value does not fit or is out of range.
    """
    for name in ("mean", "std"):
        values, least = getattr(how, name), 0 if name == "mean" else MIN_STD
        if len(values) != net.in_channels:
            raise ValueError(f"{name} has {len(values)} values for {net.in_channels} channels")
        if not all(least <= value <= 1 for value in values):
            raise ValueError(f"{name} is {shown(values)}; pixels are from 0 to 1")
    if not 1 <= how.store_size <= LARGEST_SIDE:
        raise ValueError(f"store_size is {how.store_size}; it must be from 1 to {LARGEST_SIDE}")
    if how.max_pixels < 1:
        raise ValueError(f"max_pixels is {how.max_pixels}; it must be at least 1")


def load_model(artifact: Artifact) -> "AlexNet":
    """Build the network with the saved weights, in evaluation mode.

    Raises:
        ArtifactError: ``model.safetensors`` is missing, damaged, of another network, or holds NaN or infinity; or it is
            an exported model.
    """
    if artifact.export is not None:
        raise ArtifactError(
            f"{str(artifact.folder)!r} is an export, which can predict but holds no network of this package; give the "
            "run or the model folder"
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from alexnet.network.module.model import without_weights
    from alexnet.network.weights.loading import not_finite

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
        raise ArtifactError(f"{str(file)!r} is unusable: {name} holds NaN or infinity; train the model again")
    return model.eval()


def _mismatch(expected: "dict[str, Tensor]", found: "dict[str, Tensor]") -> str | None:
    for name, tensor in expected.items():
        if name not in found:
            return f"it has no {name}"
        if found[name].shape != tensor.shape:
            return f"{name} is {tuple(found[name].shape)}, it should be {tuple(tensor.shape)}"
    unknown = sorted(set(found) - set(expected))
    return f"it has {unknown[0]}, which this network does not have" if unknown else None
