"""The Hugging Face hub, through ``huggingface_hub`` (an extra): names, downloads, and what goes wrong in one line."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from alexnet.errors import ArtifactError, SettingsError, one_line

PREFIX = "hf:"
MODEL_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>.+))?", re.ASCII)
# Of these the system's own words say more than that there is no network.
_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS)


def is_of_hub(model: str | os.PathLike[str]) -> bool:
    """Return whether a model is one of the hub, going by how it is written."""
    return isinstance(model, str) and model.startswith(PREFIX)


def public_name(place: str) -> str:
    """Return what others may know of where data or weights are: of a path on this machine, its last part."""
    path = Path(place.removeprefix(PREFIX))
    return path.name if path.is_absolute() else place


def download(repo: str, revision: str | None, files: list[str], where: str) -> Path:
    """Download some files of a model into the hub's own cache, or find them there; return their folder.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; None for the newest.
        files: names of the files.
        where: how an error begins.

    Raises:
        ArtifactError: the hub has no such model, or cannot be asked.
    """
    with explained(where, bars=len(files) > 1):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))


@contextlib.contextmanager
def explained(where: str, *, bars: bool = True) -> Iterator[None]:
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
        return "the model has no such revision; write hf:user/name for the newest"
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and it was not downloaded before"
    if isinstance(cause, ValueError):  # a name, a README or an answer that is none
        return one_line(cause)
    if answered is not None and answered.status_code in (401, 403):
        return "the hub does not let you; log in with a token that may: hf auth login"
    if isinstance(cause, errors.HfHubHTTPError):
        return f"the hub does not answer ({one_line(cause)}); try again later"
    return f"no network ({one_line(cause)}); try again with one"
