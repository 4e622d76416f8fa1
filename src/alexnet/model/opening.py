"""From what a user calls a model to the saved model: a folder here, or a name on the Hugging Face hub."""

import os
import shlex
from pathlib import Path

from alexnet.errors import ArtifactError
from alexnet.files.paths import expanded, is_taken
from alexnet.model.artifact import CONFIG, README, WEIGHTS, Artifact, read_artifact
from alexnet.model.hub import MODEL_ID, PREFIX, download, is_of_hub


def load_artifact(model: str | os.PathLike[str]) -> Artifact:
    """Read a saved model's ``config.json``, given its folder, that of the run that made it, or ``hf:user/name``.

    Raises:
        ArtifactError: there is no model, or its ``config.json`` is not one of ours.
    """
    return read_artifact(_model_folder(find_model(model)))


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the folder of a model; one of the hub is downloaded into the hub's own cache.

    The hub is asked for nothing but what begins with ``hf:``, and never for a ``Path``. What was downloaded once is
    found without a network.

    Args:
        model: the folder of a run or a model; or ``hf:user/name`` or ``hf:user/name@revision``.

    Raises:
        ArtifactError: nothing is there, the hub has no such model, cannot be asked, or it is none of ours.
    """
    if not is_of_hub(model):
        path = expanded(model)
        if not path.exists():
            raise ArtifactError(_nothing_there(os.fspath(model)))
        return path
    name = os.fspath(model).removeprefix(PREFIX)
    found = MODEL_ID.fullmatch(name)
    if found is None:
        way_out = f"; a folder goes without hf:, as {shlex.quote(name)}" if is_taken(name) else ""
        raise ArtifactError(f"{model!r} names no model of the hub; write hf:user/name{way_out}")
    where = f"cannot load {model!r} from the hub"
    # Other models have files of the same names: ours are known by a small one, before the large one is downloaded.
    folder = download(found["repo"], found["revision"], [CONFIG], where)
    if not (folder / CONFIG).exists():
        raise ArtifactError(f"{where}: it holds no alexnet model there, which would have a {CONFIG}")
    read_artifact(_model_folder(folder))
    return download(found["repo"], folder.name, [CONFIG, WEIGHTS, README], where)


def _model_folder(path: Path) -> Path:
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


def _nothing_there(model: str) -> str:
    name = model if MODEL_ID.fullmatch(model) else "user/name"
    return f"there is no model at {model!r}; give the folder of a run or a model; for one of the hub write hf:{name}"
