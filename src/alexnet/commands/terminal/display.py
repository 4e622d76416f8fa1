"""Progress and warnings: a progress bar on a terminal, elsewhere a plain line every 30 seconds.

All of it goes to stderr. stdout is for results.
"""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30.0
MOST_NAMED = 10

# Of several processes that train together, only the first prints.
console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=os.environ.get("RANK", "0") != "0")


def say(line: str) -> None:
    """Print one line, above the progress bar if there is one."""
    console.print(line, markup=False, emoji=False)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, one per line."""
    for warning in warnings:
        say(f"warning: {warning}")


def warn_of_skipped(skipped: dict[str, str]) -> None:
    """Name the first images that cannot be read, and count all of them."""
    shown = list(skipped.items())[:MOST_NAMED]
    warn(f"skipped {path}: {reason}" for path, reason in shown)
    if skipped:
        say(f"skipped {len(skipped)} unreadable {'image' if len(skipped) == 1 else 'images'}")


def warn_of_damaged(left: dict[str, str]) -> None:
    """Name the first prepared images that stay damaged, and count all of them."""
    shown = list(left.items())[:MOST_NAMED]
    warn(f"damaged on the disk and cannot be prepared anew: {path}: {reason}" for path, reason in shown)
    if left:
        say(f"{len(left)} {'image stays' if len(left) == 1 else 'images stay'} damaged")


def track(items: Iterable[T], n_items: int, what: str) -> Iterator[T]:
    """Yield the items, and show how many are done."""
    if not console.is_terminal:
        yield from _plain_track(items, n_items, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=n_items, description=what)


def _plain_track(items: Iterable[T], n_items: int, what: str) -> Iterator[T]:
    last = time.monotonic()
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            say(f"{what}: {number} of {n_items}")
            last = time.monotonic()


def format_seconds(seconds: float) -> str:
    """Return seconds as ``4:05`` or ``2:04:05``. str(timedelta) would print ``0:04:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
