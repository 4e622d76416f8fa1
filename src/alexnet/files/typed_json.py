"""JSON objects read into typed values. Each value is checked against its type before it is used.

By hand: pydantic would be one more dependency for a hundred lines.
"""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from alexnet.errors import nearest, shown, words

T = TypeVar("T")
_TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list",
    dict: "an object",
}
# Larger integers fit neither into a tensor nor into NumPy.
_INTEGER_LIMIT = 2**63


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: the text is not a JSON object.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"{shown(content)} is not a JSON object")
    return content


def dataclass_from_json(kind: type[T], saved: object) -> T:
    """Build a dataclass from a JSON object of its fields, such as ``asdict`` makes. Lists become tuples.

    Raises:
        ValueError: a field is unknown, missing or of the wrong type.
    """
    if not isinstance(saved, dict):
        raise ValueError(f"{shown(saved)} is not a JSON object")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in saved:
        if name not in known:
            raise ValueError(f"unknown field {shown(name)}{nearest(name, known)}")
    for name, field in known.items():
        if name not in saved and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"it lacks {name!r}")
    hints = get_type_hints(kind)
    return kind(**{name: as_kind(hints[name], value, name) for name, value in saved.items()})


def as_kind(kind: Any, value: Any, name: str) -> Any:
    """Return a JSON value as the given type.

    Args:
        kind: bool, a number, text, a ``Literal``, ``Any``, a dataclass, a tuple or dictionary of one type; or one of
            these or None.
        value: the value.
        name: its name in error messages.

    Raises:
        ValueError: it has another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (only,) = (each for each in inner if each is not NoneType)
        return None if value is None else as_kind(only, value, name)
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"unknown {name} {shown(value)}; known: {words(map(str, inner))}")
        return value
    if kind is Any:
        return value
    if is_dataclass(kind):
        try:
            return dataclass_from_json(kind, value)  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if not _CHECKS[origin or kind](value):
        raise ValueError(f"{name} is {shown(value)}; it must be {_TYPE_NAMES[origin or kind]}")
    if origin is tuple:
        if inner[-1] is not Ellipsis and len(value) != len(inner):
            raise ValueError(f"{name} is {shown(value)}; it must have {len(inner)} values")
        return tuple(as_kind(inner[0], each, f"a value in {name}") for each in value)
    if origin is dict:
        return {_key(inner[0], key, name): as_kind(inner[1], each, f"{name}[{key}]") for key, each in value.items()}
    return float(value) if kind is float else value


def _key(kind: Any, key: str, name: str) -> Any:
    try:
        return kind(key)
    except ValueError:
        raise ValueError(f"{name} has the key {shown(key)}; it must be {_TYPE_NAMES[kind]}") from None


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INTEGER_LIMIT


_CHECKS: dict[Any, Callable[[object], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: _is_integer,
    float: lambda value: (isinstance(value, float) and math.isfinite(value)) or _is_integer(value),
    str: lambda value: isinstance(value, str),
    tuple: lambda value: isinstance(value, list | tuple),
    dict: lambda value: isinstance(value, dict),
}
