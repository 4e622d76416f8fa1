"""Reads a figure from a run as it is stored. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alexnet.reproduction.plan.value import Figure

Run = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """A figure of one run; ``censored`` if a level was not reached, and the value is only a lower bound."""

    value: float
    censored: bool = False


def read(figure: Figure, run: Run) -> Reading | None:
    """Return a figure of a run as stored; None where it has none."""
    if figure.level is None:
        value = run["figures"].get(figure.name)
        return None if value is None else Reading(float(value))
    curve = [point for point in run["curve"] if figure.name in point]
    before: tuple[float, float] | None = None
    for point in curve:
        epoch, value = float(point["epoch"]), float(point[figure.name])
        if value <= figure.level:
            if before is None or before[1] == value:
                return Reading(epoch)
            share = (before[1] - figure.level) / (before[1] - value)
            return Reading(before[0] + share * (epoch - before[0]))
        before = epoch, value
    return None if before is None else Reading(before[0], censored=True)
