"""Every exception a user can meet, drawn as a tree.

    AlexNetError
    ├── SettingsError   an option, recipe or architecture that cannot work
    ├── DataError       a folder that is missing, empty or has too few classes
    │   └── PictureError   one picture that cannot be read
    ├── ArtifactError   a saved model that is missing, damaged or foreign
    └── RunError        a run folder that cannot be created, read or resumed

Each message is one line: what is wrong, where, and what to do. The command line prints it after
``error: `` and exits with 1; anything else that escapes is a defect of this package.
"""

import difflib
from collections.abc import Iterable


class AlexNetError(Exception):
    """The root: catch this to catch everything this package raises on purpose."""


class SettingsError(AlexNetError, ValueError):
    """An option, recipe or architecture that cannot work."""


class DataError(AlexNetError):
    """Data that is missing, empty, or cannot be learned from."""


class PictureError(DataError):
    """One picture that cannot be read.

    Args:
        where: the path, or a name for bytes that have none.
        reason: what is wrong with it, in a few words.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"cannot read picture {where}: {reason}")
        self.where = where
        self.reason = reason


class ArtifactError(AlexNetError):
    """A saved model that is missing, damaged, or not ours."""


class RunError(AlexNetError):
    """A run folder that cannot be created, read or resumed."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word closest to ``word``, or all known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}"
