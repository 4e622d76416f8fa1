"""Every exception that this package raises on purpose.

    AlexNetError
    ├── SettingsError   an option, recipe or architecture that cannot work
    ├── DataError       a folder that is missing, empty or has too few classes
    │   └── ImageError  one image that cannot be read
    ├── ArtifactError   a saved model that is missing, damaged or from another program
    ├── RunError        a run folder that cannot be created, read or resumed
    └── InstallError    a part of this package that is not installed

Each message is one line: what is wrong, where, and what to do. The command line prints it after
``error: `` and exits with 1. Any other exception is a bug in this package.
"""

import difflib
import re
import reprlib
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

# The limit for the names in one message. Few people read a line of more than 300 characters.
MOST_CHARACTERS = 120
# What the distribution alexnet needs and alexnet-runtime does not. Its own modules are missing where TRAINING is.
ONLY_WHOLE = {"matplotlib", "onnx", "onnxscript", "safetensors", "sklearn", "torch", "torchinfo", "torchvision"}
TRAINING = "alexnet.training.session"


class AlexNetError(Exception):
    """The base class: catch this to catch everything that this package raises on purpose."""


class SettingsError(AlexNetError, ValueError):
    """An option, recipe or architecture that cannot work."""


class DataError(AlexNetError):
    """Data that is missing, empty or useless for training."""


class ImageError(DataError):
    """One image that cannot be read.

    Args:
        where: the path, or a name for bytes without a path.
        reason: what is wrong with it, in a few words.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"cannot read image {where}: {reason}")
        self.where = where
        self.reason = reason


class ArtifactError(AlexNetError):
    """A saved model that is missing, damaged or from another program."""


class RunError(AlexNetError):
    """A run folder that cannot be created, read or resumed."""


class InstallError(AlexNetError, ImportError):
    """A part of this package that is not installed."""


@contextmanager
def whole_package(what: str, instead: str = "") -> Iterator[None]:
    """Run code that needs the distribution ``alexnet``; with ``alexnet-runtime`` alone it ends in one line.

    Args:
        what: what is asked for, such as ``alexnet train``.
        instead: what else the user can do, such as ``; or use --as json``.

    Raises:
        InstallError: a module of the distribution ``alexnet``, or a package that only this needs, is not installed.
    """
    try:
        yield
    except ImportError as error:
        name = error.name or ""
        is_requirement = isinstance(error, ModuleNotFoundError) and name in ONLY_WHOLE
        if not is_requirement and not (name.startswith("alexnet.") and find_spec(TRAINING) is None):
            raise
        raise InstallError(f"{what} needs the whole package; install it with: pip install alexnet{instead}") from error


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word closest to ``word``, or else a list of the known words."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {listed(close)}?"
    return f"; known: {words(known)}"


def words(names: Iterable[str]) -> str:
    """Join names with commas, as many as fit into a message."""
    return textwrap.shorten(", ".join(names), MOST_CHARACTERS, placeholder=" ...")


def listed(names: Iterable[str], most: int = 5) -> str:
    """Join the first few names in quotes, as many as fit into a message, and count the rest."""
    names = list(names)
    quoted = [_NAMES.repr(name) for name in names[:most]]
    while len(quoted) > 1 and len(", ".join(quoted)) > MOST_CHARACTERS:
        quoted.pop()
    n_more = len(names) - len(quoted)
    return ", ".join(quoted) + (f" and {n_more} more" if n_more else "")


def shown(value: object) -> str:
    """Return the ``repr`` of a value; the middle of a long one is left out."""
    return _REPR.repr(value)


def one_line(error: BaseException, until: str | None = None) -> str:
    """Return what another library's error says, on one short line without the error number.

    Args:
        error: the error.
        until: the words with which its text becomes useless to our users, such as advice on how to call functions.
    """
    text = re.sub(r"\[Errno -?\d+\]", "", str(error).split(until)[0] if until else str(error))
    return " ".join(text.split())[:200] or type(error).__name__


def _short(most: int) -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxother = most
    short.maxlevel = 2
    short.maxdict = short.maxlist = short.maxtuple = 3
    return short


_REPR = _short(60)
# Names are often paths. Most paths fit into this length.
_NAMES = _short(100)
