"""Paths as people write them."""

import os
from pathlib import Path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``~user`` at its beginning as the home folder they stand for.

    Where nobody is called so, or nobody knows where home is, the path stays as it is: a folder may be called ``~user``.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
