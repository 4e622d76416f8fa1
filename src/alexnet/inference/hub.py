"""Models on the Hugging Face hub, found by name and given to others, through ``huggingface_hub`` (an extra)."""

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from alexnet.errors import ArtifactError, SettingsError
from alexnet.inference.artifact import CONFIG, README, WEIGHTS, Artifact, load_artifact, load_model
from alexnet.paths import expanded

PREFIX = "hf:"
# What a model card calls the place of its model, until it has one.
PLACE = "THIS_FOLDER"
_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>.+))?", re.ASCII)
# Of these the system's own words say more than that there is no network.
_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS)


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the folder of a model; one of the hub is downloaded into the hub's own cache.

    What lies here goes before the hub. A name whose first part is a folder here is a path, perhaps mistyped, and the
    hub is not asked; nor is it for a ``Path``. What was downloaded once is found without a network.

    Args:
        model: the folder of a run or a model; or ``user/name``, ``hf:user/name`` or ``user/name@revision``.

    Returns:
        The folder. A path that holds nothing comes back as it is, for the caller to refuse.

    Raises:
        ArtifactError: the hub has no such model, cannot be asked, or it is none of ours.
    """
    path = expanded(model)
    if path.exists() or not isinstance(model, str):
        return path
    found = _ID.fullmatch(model.removeprefix(PREFIX))
    if model.startswith(PREFIX):
        if found is None:
            raise ArtifactError(f"{model!r} names no model of the hub; write hf:user/name")
    elif found is None or Path(path.parts[0]).is_dir():
        return path
    where = f"cannot load {model!r}, neither from a folder here nor from the hub"
    # Other models have files of the same names: ours are known by a small one, before the large one is downloaded.
    folder = _download(found["repo"], found["revision"], [CONFIG], where)
    if not (folder / CONFIG).exists():
        raise ArtifactError(f"{where}: it holds no alexnet model there, which would have a {CONFIG}")
    load_artifact(folder)
    return _download(found["repo"], folder.name, [CONFIG, WEIGHTS, README], where)


def push(model: str | os.PathLike[str], repo: str, *, private: bool = False, message: str | None = None) -> str:
    """Give a model to others on the Hugging Face hub, in one commit, and return its address.

    Pushed are the weights, ``config.json`` and the README, of which the lines on use name the repository. Of where
    pictures lie on this machine, only the last part of the path goes out. Nothing here is changed.

    Args:
        model: the folder of a run or a model.
        repo: ``user/name``; made where it does not exist.
        private: whether only you may see it; else everybody may, where your organisation has not settled otherwise.
        message: what the commit says.

    Raises:
        ArtifactError: there is no such model, it is damaged, or the hub does not take it.
        SettingsError: ``repo`` is no name for a model on the hub.
    """
    artifact = load_artifact(model)
    repo = repo.removeprefix(PREFIX)
    where = f"cannot push to {repo!r}"
    if not _ID.fullmatch(repo) or "@" in repo:
        raise SettingsError(f"{where}: that is no name for a model on the hub; write user/name")
    contents = {CONFIG: _config(artifact), README: _readme(artifact, repo)}
    load_model(artifact)  # what is damaged is for nobody
    with _explained(where):
        from huggingface_hub import CommitOperationAdd, HfApi, get_token

        if get_token() is None:
            raise ArtifactError(f"{where}: nobody is logged in; run hf auth login, or put a token into HF_TOKEN")
        api = HfApi()
        address = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise ArtifactError(f"{where}: it is there and public; make it private on its page, or choose another name")
        operations = [CommitOperationAdd(name, text.encode()) for name, text in contents.items()]
        operations.append(CommitOperationAdd(WEIGHTS, str(artifact.folder / WEIGHTS)))
        message = message or f"AlexNet for {len(artifact.classes)} classes"
        api.create_commit(repo, operations, commit_message=message)
        return str(address)


def front_matter(artifact: Artifact) -> str:
    """Return the lines of YAML by which the hub files a model: what it does, on which data, and how well."""
    made = artifact.provenance
    lines = ["library_name: alexnet", "pipeline_tag: image-classification", "tags:", "- alexnet"]
    data = str(made.get("data", ""))
    name = public_name(data)
    of_the_hub = _ID.fullmatch(data.removeprefix(PREFIX).partition(":")[0]) if data.startswith(PREFIX) else None
    if of_the_hub:
        lines += ["datasets:", f"- {_quoted(of_the_hub['repo'])}"]
    if data and made.get("val_top1") is not None:
        # The hub's word for pictures in folders.
        kind = of_the_hub["repo"] if of_the_hub else "imagefolder" if name != data else data
        lines += [
            "model-index:",
            f"- name: {_quoted(f'alexnet-{artifact.architecture.variant}')}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{name: {_quoted(name)}, type: {_quoted(kind)}, split: val}}",
            f"    metrics: [{{type: accuracy, name: top-1, value: {float(made['val_top1']):.4f}}}]",
        ]
    return "\n".join(["---", *lines, "---", ""])


def public_name(place: str) -> str:
    """Return what others may know of where data or weights are: of a path on this machine, its last part."""
    path = Path(place.removeprefix(PREFIX))
    return path.name if path.is_absolute() else place


def _config(artifact: Artifact) -> str:
    config = json.loads((artifact.folder / CONFIG).read_text(encoding="utf-8"))
    made = artifact.provenance
    config["provenance"] = {
        name: public_name(value) if name in ("data", "init") and isinstance(value, str) else value
        for name, value in made.items()
    }
    return json.dumps(config, indent=2) + "\n"


def _readme(artifact: Artifact, repo: str) -> str:
    try:
        text = (artifact.folder / README).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {str(artifact.folder / README)!r}: {error}") from error
    text = text if text.startswith("---\n") else f"{front_matter(artifact)}\n{text}"
    return text.replace(PLACE, repo)


def _quoted(text: str) -> str:
    """Return a text as YAML, in which names of folders may hold anything."""
    return json.dumps("".join(each if each.isprintable() else "?" for each in text), ensure_ascii=False)


def _download(repo: str, revision: str | None, files: list[str], where: str) -> Path:
    with _explained(where, bars=len(files) > 1):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))


@contextlib.contextmanager
def _explained(where: str, *, bars: bool = True) -> Iterator[None]:
    """Turn whatever goes wrong into one line that begins with ``where``; keep back what the package would say itself.

    Args:
        where: what cannot be done.
        bars: whether its progress bars are shown, on a terminal.
    """
    try:
        package: Any = import_module("huggingface_hub.utils")
    except ImportError as error:
        raise ArtifactError(f"{where}: that needs the package huggingface_hub; pip install 'alexnet[hub]'") from error
    verbosity = package.logging.get_verbosity()
    hides_bars = not (bars and sys.stderr.isatty()) and not package.are_progress_bars_disabled()
    package.logging.set_verbosity_error()
    if hides_bars:
        package.disable_progress_bars()
    try:
        yield
    except (ArtifactError, SettingsError):
        raise
    except Exception as error:  # of whichever library carries the requests
        if getattr(error, "errno", None) in _DISK:
            raise
        raise ArtifactError(f"{where}: {_why(error)}") from error
    finally:
        package.logging.set_verbosity(verbosity)
        if hides_bars:
            package.enable_progress_bars()


def _why(error: Exception) -> str:
    """Return what the hub has answered, or that it has not, and what to do."""
    from huggingface_hub import errors

    cause: Any = error
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
        cause = error.__cause__  # it only says that nothing was downloaded before
    answered: Any = getattr(cause, "response", None)
    if isinstance(cause, errors.GatedRepoError):
        return "it is given to those who asked for it; ask on its page, then log in with hf auth login"
    if isinstance(cause, errors.RepositoryNotFoundError):
        return "the hub has no such model, or it is private; correct the name, or log in with hf auth login"
    if isinstance(cause, errors.RevisionNotFoundError):
        return "the model has no such revision; write user/name for the newest"
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and it was not downloaded before"
    if isinstance(cause, ValueError):  # a name, a README or an answer that is none
        return _one_line(cause)
    if answered is not None and answered.status_code in (401, 403):
        return "the hub does not let you; log in with a token that may: hf auth login"
    if isinstance(cause, errors.HfHubHTTPError):
        return f"the hub does not answer ({_one_line(cause)}); try again later"
    return f"no network ({_one_line(cause)}); try again with one, or correct the path"


def _one_line(error: Exception) -> str:
    text = re.sub(r"\[Errno -?\d+\]", "", str(error))
    return " ".join(text.split())[:200] or type(error).__name__
