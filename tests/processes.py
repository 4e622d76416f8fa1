"""Processes that tests start, and the processes that those start: none outlives its test.

Each inherits a word in its environment by which it is found again. Its parent or its process group would not do:
torchrun starts each worker in a session of its own, and one that is killed leaves them without a parent.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "ALEXNET_TEST"
_PROC = Path("/proc")
# A killed process is gone at once; only one that waits for a disk takes longer.
_SECONDS = 10


@contextmanager
def none_left() -> Iterator[None]:
    """Kill whatever the block has started and not ended, however the block ends. Where there is no /proc, nothing."""
    word = f"{NAME}={secrets.token_hex(8)}"
    os.environ[NAME] = word.partition("=")[2]
    try:
        yield
    finally:
        del os.environ[NAME]
        deadline = time.monotonic() + _SECONDS
        while (numbers := marked(word)) and time.monotonic() < deadline:
            for number in numbers:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.01)


def marked(word: str) -> list[int]:
    """Return the numbers of the processes that began with a word such as ``NAME=value`` in their environment."""
    folders = [each for each in _PROC.iterdir() if each.name.isdigit()] if _PROC.is_dir() else []
    return [int(each.name) for each in folders if word.encode() in _environment(each)]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return b""
