"""Where an export is written, and what it says of itself."""

import json
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from alexnet.errors import ArtifactError, SettingsError
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.exporting.comparison import Comparison
from alexnet.files.paths import expanded, is_taken
from alexnet.files.typed_json import parse_object
from alexnet.model.artifact import Artifact, config_of
from alexnet.model.exported import Export, Precision
from alexnet.model.hub import PREFIX, is_of_hub, public_name
from alexnet.model.opening import METADATA_FILE, load_artifact
from alexnet.web.build import GENERATOR

ExportFormat = Literal["onnx", "openvino", "torch", "web"]
# A name that the user chooses must have the same suffix.
ENDINGS: dict[ExportFormat, str] = {"onnx": ".onnx", "openvino": "-openvino", "torch": ".pt2", "web": ".html"}


@dataclass(frozen=True)
class Exported:
    """An export that was written.

    Attributes:
        path: the file, or OpenVINO's folder.
        comparison: how it compares with its original. It is also in the file ``PATH.json``.
        notes: what a user should know, a line each.
    """

    path: Path
    comparison: Comparison
    notes: tuple[str, ...] = ()


def original(model: str | os.PathLike[str]) -> Artifact:
    """Return the model to export.

    Raises:
        ArtifactError: there is no such model, it is damaged, or it is an export already.
    """
    artifact = load_artifact(model)
    if artifact.export is not None:
        raise ArtifactError(f"{os.fspath(model)!r} is an export already; give the run or the model folder it is of")
    return artifact


def name_ending(format: ExportFormat, precision: Precision = "fp32", *, shrink: bool = False) -> str:  # noqa: A002
    """Return what the default name of an export adds to that of its run, such as ``-int8-shrunk.onnx``."""
    kinds = [*([] if precision == "fp32" else [precision]), *(["shrunk"] if shrink else [])]
    return "".join(f"-{kind}" for kind in kinds) + ENDINGS[format]


def place_for(
    model: str | os.PathLike[str], artifact: Artifact, out: str | os.PathLike[str] | None, ending: str
) -> Path:
    """Return the path to write an export to: the given one or, beside the model, its name with an ending.

    Args:
        model: the model as the user named it.
        artifact: the model.
        out: the path that the user gave.
        ending: what the export is.

    Raises:
        SettingsError: something else is there; or the path has no folder, or an ending that says another format.
    """
    path = _beside(model, artifact, ending) if out is None else expanded(out)
    suffix = Path(f"x{ending}").suffix  # a name that begins with a dot has none
    if suffix and path.suffix != suffix:
        raise SettingsError(f"--out is {str(path)!r}; the name of this format ends in {suffix}")
    if not path.parent.is_dir():
        raise SettingsError(f"there is no folder {str(path.parent)!r} for the export; make it, or choose another --out")
    for each, is_ours in ((path, _is_export), (comparison_path(path), _is_comparison)):
        if is_taken(each) and not is_ours(each):
            raise SettingsError(f"{str(each)!r} is no export of alexnet, so it is not replaced; choose another --out")
    return path


def comparison_path(path: Path) -> Path:
    """Return the file beside an export that holds its comparison."""
    return path.with_name(f"{path.name}.json")


def comparison_text(comparison: Comparison, export: Path) -> str:
    """Return the content of that file."""
    return json.dumps({"export": export.name, **comparison.to_json()}, indent=2, allow_nan=False) + "\n"


def metadata(artifact: Artifact, export: Export) -> str:
    """Return what an export says of itself: the model's ``config.json``, and the export. Without paths on this machine.

    Args:
        artifact: the original.
        export: how it is exported.
    """
    made = {
        name: public_name(value) if name in ("data", "init") and isinstance(value, str) else value
        for name, value in artifact.provenance.items()
    }
    config = config_of(replace(artifact, provenance=made, export=None))
    return json.dumps({**config, "export": export.to_json()}, allow_nan=False)


def n_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a folder."""
    return sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())


def _beside(model: str | os.PathLike[str], artifact: Artifact, ending: str) -> Path:
    run = ModelRun.of(artifact)
    if is_of_hub(model):  # its folder is in the hub's cache
        folder = Path(os.fspath(model).removeprefix(PREFIX).partition("@")[0].rpartition("/")[2])
    else:
        folder = artifact.folder if run is None else run.folder
    if folder.name in ("", ".."):
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - which resolves ".."
    return folder.with_name(folder.name + ending)


def _is_export(path: Path) -> bool:
    """Return whether an export of ours is there."""
    try:
        if path.suffix == ENDINGS["web"]:
            return GENERATOR in path.read_text(encoding="utf-8")
        if path.suffix == ENDINGS["torch"]:
            return any(name.endswith(f"/extra/{METADATA_FILE}") for name in zipfile.ZipFile(path).namelist())
        return load_artifact(path).export is not None
    except (ArtifactError, OSError, ValueError, zipfile.BadZipFile):
        return False


def _is_comparison(path: Path) -> bool:
    try:
        return {"export", "agreement"} <= parse_object(path.read_text(encoding="utf-8")).keys()
    except (OSError, ValueError):
        return False
