"""Find a saved model by its path, or by its name on the Hugging Face hub: a model folder, or an exported model."""

import os
import shlex
from pathlib import Path

from alexnet.errors import ArtifactError
from alexnet.files.paths import expanded, is_taken
from alexnet.model.artifact import CONFIG, README, WEIGHTS, Artifact, artifact_of, parsed_config, read_artifact
from alexnet.model.exported import Format
from alexnet.model.hub import MODEL_ID, PREFIX, download, is_of_hub
from alexnet.model.onnx_file import OnnxFile

# The key of an export's metadata, and the name of the file that holds them where there are no keys.
METADATA = "alexnet"
METADATA_FILE = "alexnet.json"
OPENVINO_MODEL = "model.xml"
# Files that may hold a pickle, by their endings.
PICKLES = frozenset({".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
# Exports that are not read back. torch.export.load would run expressions that a .pt2 holds.
FOR_OTHERS = {".pt2": "torch.export.load runs it", ".html": "a browser opens it"}
_KINDS = "a run folder, a model folder or an export"


def load_artifact(model: str | os.PathLike[str]) -> Artifact:
    """Read all of a saved model but its weights.

    Args:
        model: a run folder, a model folder or ``hf:user/name``; or an export: a file that ends in ``.onnx``,
            or a folder with OpenVINO's ``model.xml``.

    Raises:
        ArtifactError: there is no model, or it is damaged or from another program.
    """
    path = find_model(model)
    if path.is_file():
        return _read_file(path)
    if (path / OPENVINO_MODEL).is_file():
        return _read_openvino(path)
    return read_artifact(_model_folder(path))


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the path of a model. A model on the hub is downloaded into the hub's own cache.

    Only text that begins with ``hf:`` is looked up on the hub, never a ``Path``. A model that was downloaded once needs
    no network.

    Args:
        model: a run folder, a model folder or an export; or ``hf:user/name`` or ``hf:user/name@revision``.

    Raises:
        ArtifactError: there is no such path or no such model on the hub, the hub cannot be reached, or the model is
            from another program.
    """
    if not is_of_hub(model):
        path = expanded(model)
        if not path.exists():
            raise ArtifactError(_not_found(os.fspath(model)))
        return path
    name = os.fspath(model).removeprefix(PREFIX)
    found = MODEL_ID.fullmatch(name)
    if found is None:
        advice = f", or leave out hf: for the folder {shlex.quote(name)}" if is_taken(name) else ""
        raise ArtifactError(f"{model!r} is not a name on the hub; write hf:user/name{advice}")
    where = f"cannot load {model!r} from the hub"
    # The small config first: other programs' models have files of the same names, and the weights are large.
    folder = download(found["repo"], found["revision"], [CONFIG], where)
    if not (folder / CONFIG).exists():
        raise ArtifactError(f"{where}: it holds no alexnet model, since there is no {CONFIG}")
    read_artifact(_model_folder(folder))
    return download(found["repo"], folder.name, [CONFIG, WEIGHTS, README], where)


def _model_folder(path: Path) -> Path:
    if (path / "model" / CONFIG).exists():
        return path / "model"
    if (path / CONFIG).exists():
        return path
    if (path / "checkpoint").is_dir():
        raise ArtifactError(
            f"the run {str(path)!r} is unfinished and has no model yet; finish it with: "
            f"alexnet train --resume {shlex.quote(str(path))}"
        )
    raise ArtifactError(f"{str(path)!r} holds no model: there is no {CONFIG}; give {_KINDS}")


def _read_file(path: Path) -> Artifact:
    ending = path.suffix.lower()
    if ending == ".onnx":
        return _exported(path, OnnxFile(path).metadata.get(METADATA), "onnx")
    if ending in FOR_OTHERS:
        raise ArtifactError(
            f"{str(path)!r} is for other programs: {FOR_OTHERS[ending]}; give the run, the model folder or an .onnx"
        )
    if path.parent.joinpath(OPENVINO_MODEL).is_file() and path.stem == Path(OPENVINO_MODEL).stem:
        return _read_openvino(path.parent)
    if ending in PICKLES:
        raise ArtifactError(
            f"{str(path)!r} is not read: a {ending} file may hold a pickle, which can run any program; give {_KINDS}"
        )
    raise ArtifactError(f"{str(path)!r} is not a model; give {_KINDS}")


def _read_openvino(folder: Path) -> Artifact:
    file = folder / METADATA_FILE
    try:
        return _exported(folder, file.read_text(encoding="utf-8"), "openvino", file)
    except FileNotFoundError:
        return _exported(folder, None, "openvino")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {str(file)!r}: {error}") from error


def _exported(path: Path, text: str | None, kind: Format, file: Path | None = None) -> Artifact:
    """Return the model that an export describes.

    Args:
        path: the export.
        text: its metadata; None if it has none.
        kind: its format.
        file: the file that holds the metadata, for errors; by default ``path``.
    """
    artifact = None if text is None else artifact_of(path, parsed_config(text, file or path), file)
    if artifact is None or artifact.export is None or artifact.export.format != kind:
        raise ArtifactError(
            f"{str(path)!r} is not an export of alexnet, so its classes and its preprocessing are unknown; make one "
            "with: alexnet export RUN"
        )
    return artifact


def _not_found(model: str) -> str:
    name = model if MODEL_ID.fullmatch(model) else "user/name"
    return f"there is no model at {model!r}; give {_KINDS}; for a model on the hub write hf:{name}"
