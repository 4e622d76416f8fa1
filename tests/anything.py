"""Damaged JSON: any value in any place."""

from collections.abc import Iterator
from typing import Any

ANYTHING = (None, "x", [], {}, -3, 0.5, 10**30, True, float("nan"))


def places(saved: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value stands, by the keys that lead to it."""
    items = saved.items() if isinstance(saved, dict) else enumerate(saved) if isinstance(saved, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def replace_at(saved: Any, where: tuple[Any, ...], value: Any) -> None:
    """Put another value into a place."""
    for key in where[:-1]:
        saved = saved[key]
    saved[where[-1]] = value
