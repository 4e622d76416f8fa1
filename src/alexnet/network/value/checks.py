"""Checks of the fields of frozen values, and reading such values from JSON. Each refusal names the field."""

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from alexnet.errors import SettingsError, nearest, shown

T = TypeVar("T")
# The limit for channels, classes and pixels: no computer holds more, and their products fit into torch's 64 bits.
MOST = 1_000_000


def check_count(name: str, value: object, least: int) -> None:
    """Refuse anything but a whole number from ``least`` to ``MOST``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SettingsError(f"{name} is {shown(value)}; it must be a whole number, at least {least}")
    if value > MOST:
        raise SettingsError(f"{name} is {shown(value)}; it must be at most {MOST}")


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse a value that is not among the known words."""
    if value not in (known := tuple(known)):
        raise SettingsError(f"unknown {name} {shown(value)}{nearest(str(value), known)}")


def check_sizes(name: str, values: object) -> tuple[int, ...]:
    """Return a list of whole numbers of at least 1 as a tuple; refuse anything else."""
    if not isinstance(values, tuple | list):
        raise SettingsError(f"{name} is {shown(values)}; it must be a list of sizes, such as (512, 256)")
    for value in values:
        check_count(f"a size in {name}", value, least=1)
    return tuple(values)


def check_number(name: str, value: object, *, above: bool = False) -> None:
    """Refuse anything but a number of at least 0, or above 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf") or (above and value == 0):  # type: ignore[operator]
        raise SettingsError(f"{name} is {shown(value)}; it must be a number{' above 0' if above else ', 0 or more'}")


def check_object(saved: Any, where: str, example: str) -> dict[str, Any]:
    """Return a JSON object; refuse anything else."""
    if not isinstance(saved, dict):
        raise SettingsError(f"the {where} is {shown(saved)}; write it as an object, such as {example}")
    return saved


def from_fields(kind: type[T], saved: dict[str, Any], where: str) -> T:
    """Build a frozen value from its fields by name.

    Raises:
        SettingsError: unknown fields (the nearest known one is named) or missing ones.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in saved:
        if key not in known:
            raise SettingsError(f"unknown field {shown(key)} in the {where}{nearest(key, known)}")
    for name, field in known.items():
        if field.default is MISSING and name not in saved:
            raise SettingsError(f"the {where} lacks {name!r}")
    return kind(**saved)


def divisors(*numbers: int) -> list[int]:
    """Return the common divisors, smallest first."""
    return [n for n in range(1, min(numbers) + 1) if not any(number % n for number in numbers)]


def alternatives(choices: Sequence[int | str]) -> str:
    """Return the choices for a sentence: ``1, 2 or 4``."""
    return " or ".join(", ".join(map(str, choices)).rsplit(", ", 1))
