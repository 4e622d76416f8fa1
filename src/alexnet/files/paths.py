"""Paths and names as people write them. Nothing here raises, whatever they wrote."""

import os
import re
from pathlib import Path

_NUMBERS = re.compile(r"(\d+)")


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``~user`` expanded. The home of an unknown user stays as it is written."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises for an unknown user


def is_taken(path: str | os.PathLike[str]) -> bool:
    """Return whether something exists at that path. A broken link counts."""
    return os.path.lexists(expanded(path))


def natural_key(text: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a sorting key that puts "2" before "10". It is total: no two different names compare equal."""
    # Words and numbers alternate, and a word, perhaps empty, comes first. So any two keys can be compared.
    parts: list[str | tuple[int, str]] = [*_NUMBERS.split(text)]
    # Numbers are compared as digits: Python refuses to convert thousands of digits to an integer.
    parts[1::2] = [(len(digits), digits) for number in parts[1::2] for digits in [str(number).lstrip("0")]]
    # "1" and "01" are the same number; the text itself breaks the tie.
    return parts, text
