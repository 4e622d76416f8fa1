"""Paths as people write them. Nothing here raises, whatever they wrote."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``~user`` expanded. The home of an unknown user stays as it is written."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises for an unknown user


def is_taken(path: str | os.PathLike[str]) -> bool:
    """Return whether something exists at that path. A broken link counts."""
    return os.path.lexists(expanded(path))
