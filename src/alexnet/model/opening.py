"""Find a saved model by its path, or by its name on the Hugging Face hub."""

import os
import shlex
from pathlib import Path

from alexnet.errors import ArtifactError
from alexnet.files.paths import expanded, is_taken
from alexnet.model.artifact import CONFIG, README, WEIGHTS, Artifact, read_artifact
from alexnet.model.hub import MODEL_ID, PREFIX, download, is_of_hub


def load_artifact(model: str | os.PathLike[str]) -> Artifact:
    """Read a saved model's ``config.json``, given a model folder, a run folder or ``hf:user/name``.

    Raises:
        ArtifactError: there is no model, or its ``config.json`` is damaged or from another program.
    """
    return read_artifact(_model_folder(find_model(model)))


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the folder of a model. A model on the hub is downloaded into the hub's own cache.

    Only text that begins with ``hf:`` is looked up on the hub, never a ``Path``. A model that was downloaded once needs
    no network.

    Args:
        model: a run folder or a model folder; or ``hf:user/name`` or ``hf:user/name@revision``.

    Raises:
        ArtifactError: there is no such folder or no such model on the hub, the hub cannot be reached, or the model is
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
    raise ArtifactError(f"{str(path)!r} holds no model: there is no {CONFIG}; give a run folder or a model folder")


def _not_found(model: str) -> str:
    name = model if MODEL_ID.fullmatch(model) else "user/name"
    return (
        f"there is no model at {model!r}; give a run folder or a model folder; for a model on the hub write hf:{name}"
    )
