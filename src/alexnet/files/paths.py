"""Paths as people write them; nothing here fails on what they may have written."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``~user`` written out; the home of a user whom nobody knows stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's fails where nobody is called so


def is_taken(path: str | os.PathLike[str]) -> bool:
    """Return whether anything has that name, a link to nowhere too."""
    return os.path.lexists(expanded(path))
