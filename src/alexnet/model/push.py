"""Upload a saved model to the Hugging Face hub."""

import json
import os

from alexnet.errors import ArtifactError, SettingsError
from alexnet.model.artifact import CONFIG, README, WEIGHTS, Artifact, load_model
from alexnet.model.card import PLACE, front_matter
from alexnet.model.hub import MODEL_ID, PREFIX, one_line_errors, public_name
from alexnet.model.opening import load_artifact


def push(model: str | os.PathLike[str], repo: str, *, private: bool = False, message: str | None = None) -> str:
    """Upload a model to the Hugging Face hub in one commit, and return its URL.

    The commit holds the weights, ``config.json`` and the README, with the name of the repository in its examples. Paths
    to images on this machine are reduced to their last part. The local files are not changed.

    Args:
        model: a run folder or a model folder.
        repo: ``user/name``, with or without ``hf:``. It is created if it does not exist.
        private: whether only you may see it. Else it is public, unless your organisation's default is private.
        message: the commit message.

    Raises:
        ArtifactError: there is no such model, it is damaged, or the hub refuses it.
        SettingsError: ``repo`` is not a valid name for a model on the hub.
    """
    artifact = load_artifact(model)
    if artifact.export is not None:
        raise ArtifactError(
            f"{str(artifact.folder)!r} is an export; push the run or the model folder that it was made of"
        )
    repo = repo.removeprefix(PREFIX)
    where = f"cannot push to {repo!r}"
    if not MODEL_ID.fullmatch(repo) or "@" in repo:
        raise SettingsError(f"{where}: not a valid name for a model on the hub; write user/name")
    contents = {CONFIG: _config(artifact), README: _readme(artifact, repo)}
    load_model(artifact)  # refuses a damaged model
    with one_line_errors(where):
        from huggingface_hub import CommitOperationAdd, HfApi, get_token

        if get_token() is None:
            raise ArtifactError(
                f"{where}: not logged in to the Hugging Face hub; run hf auth login, or put a token into HF_TOKEN"
            )
        api = HfApi()
        address = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise ArtifactError(f"{where}: it exists and is public; make it private on its page, or use another name")
        operations = [CommitOperationAdd(name, text.encode()) for name, text in contents.items()]
        operations.append(CommitOperationAdd(WEIGHTS, str(artifact.folder / WEIGHTS)))
        message = message or f"AlexNet for {len(artifact.classes)} classes"
        api.create_commit(repo, operations, commit_message=message)
        return str(address)


def _config(artifact: Artifact) -> str:
    config = json.loads((artifact.folder / CONFIG).read_text(encoding="utf-8"))
    made = artifact.provenance
    config["provenance"] = {
        name: public_name(value) if name in ("data", "init") and isinstance(value, str) else value
        for name, value in made.items()
    }
    try:
        return json.dumps(config, indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise ArtifactError(f"{str(artifact.folder / CONFIG)!r} holds NaN or infinity; correct it") from error


def _readme(artifact: Artifact, repo: str) -> str:
    try:
        text = (artifact.folder / README).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {str(artifact.folder / README)!r}: {error}") from error
    text = text if text.startswith("---\n") else f"{front_matter(artifact)}\n{text}"
    return text.replace(PLACE, f"{PREFIX}{repo}")
