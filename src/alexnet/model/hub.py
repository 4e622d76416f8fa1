"""The Hugging Face hub, through the optional package ``huggingface_hub``: names, downloads and one-line errors."""

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
# For these errors of the disk, the system's own message is the best one.
_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS)


def is_of_hub(model: str | os.PathLike[str]) -> bool:
    """Return whether a model's name says that it is on the hub."""
    return isinstance(model, str) and model.startswith(PREFIX)


def public_name(place: str) -> str:
    """Return a name that may be published: a path on this machine is reduced to its last part."""
    path = Path(place.removeprefix(PREFIX))
    return path.name if path.is_absolute() else place


def download(repo: str, revision: str | None, files: list[str], where: str) -> Path:
    """Download files of a model into the hub's own cache, unless they are there; return their folder.

    Args:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; None for the newest.
        files: the names of the files.
        where: the beginning of error messages.

    Raises:
        ArtifactError: the hub has no such model, or cannot be reached.
    """
    with one_line_errors(where, bars=len(files) > 1):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))


@contextlib.contextmanager
def one_line_errors(where: str, *, bars: bool = True) -> Iterator[None]:
    """Turn any error into one line that begins with ``where``, and silence the package's own messages.

    Args:
        where: what failed, such as ``cannot push to 'user/name'``.
        bars: whether to show its progress bars on a terminal.
    """
    try:
        package: Any = import_module("huggingface_hub.utils")
    except ImportError as error:
        raise ArtifactError(f"{where}: the package huggingface_hub is missing; pip install 'alexnet[hub]'") from error
    verbosity = package.logging.get_verbosity()
    hides_bars = not (bars and sys.stderr.isatty()) and not package.are_progress_bars_disabled()
    package.logging.set_verbosity_error()
    if hides_bars:
        package.disable_progress_bars()
    try:
        yield
    except (ArtifactError, SettingsError):
        raise
    except Exception as error:  # the type depends on the library that sends the requests
        if getattr(error, "errno", None) in _DISK:
            raise
        raise ArtifactError(f"{where}: {_reason(error)}") from error
    finally:
        package.logging.set_verbosity(verbosity)
        if hides_bars:
            package.enable_progress_bars()


def _reason(error: Exception) -> str:
    """Return the hub's error in words, or that it cannot be reached, and what to do."""
    from huggingface_hub import errors

    cause: Any = error
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
        cause = error.__cause__  # the error itself only says that the cache is empty
    response: Any = getattr(cause, "response", None)
    if isinstance(cause, errors.GatedRepoError):
        return "gated model: request access on its page, then log in with hf auth login"
    if isinstance(cause, errors.RepositoryNotFoundError):
        return "the hub has no such model, or it is private; correct the name, or log in with hf auth login"
    if isinstance(cause, errors.RevisionNotFoundError):
        return "the model has no such revision; write hf:user/name for the newest"
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and the model was not downloaded before"
    if isinstance(cause, ValueError):  # an invalid name, README or response
        return one_line(cause)
    if response is not None and response.status_code in (401, 403):
        return "access denied; log in with a token that has access: hf auth login"
    if isinstance(cause, errors.HfHubHTTPError):
        return f"the hub reports an error ({one_line(cause)}); try again later"
    return f"no network ({one_line(cause)}); check the connection and try again"
