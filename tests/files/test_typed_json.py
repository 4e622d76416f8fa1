"""JSON read back: right types give the same values, wrong ones give errors with the field's name."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest

from alexnet.files.typed_json import as_kind, dataclass_from_json, parse_object


@dataclass(frozen=True)
class Inner:
    side: int


@dataclass(frozen=True)
class Outer:
    share: float
    sides: tuple[int, ...]
    mode: Literal["a", "b"] = "a"
    name: str | None = None
    inner: Inner | None = None
    pace: dict[int, float] = field(default_factory=dict)
    is_quick: bool = False
    range: tuple[float, float] = (0.0, 1.0)


WHOLE = Outer(0.5, (1, 2), "b", "x", Inner(3), {64: 0.25}, True, (0.5, 0.75))


def test_json_round_trip() -> None:
    assert dataclass_from_json(Outer, json.loads(json.dumps(asdict(WHOLE)))) == WHOLE
    assert dataclass_from_json(Outer, {"share": 1, "sides": []}) == Outer(1.0, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": "much"}, "share is 'much'; it must be a number"),
        ({"share": True}, "share is True; it must be a number"),
        ({"share": float("nan")}, "share is nan; it must be a number"),
        ({"is_quick": 1}, "is_quick is 1; it must be true or false"),
        ({"range": [0.5]}, r"range is \[0\.5\]; it must have 2 values"),
        ({"share": 10**400}, "share is 1000"),
        ({"sides": 3}, "sides is 3; it must be a list"),
        ({"sides": [1, 2.5]}, "a value in sides is 2.5; it must be a whole number"),
        ({"mode": "c"}, "unknown mode 'c'; known: a, b"),
        ({"mode": ["a"]}, "unknown mode"),
        ({"name": 4}, "name is 4; it must be text"),
        ({"inner": [3]}, r"inner: \[3\] is not a JSON object"),
        ({"inner": {"side": None}}, "inner: side is None; it must be a whole number"),
        ({"inner": {}}, "inner: it lacks 'side'"),
        ({"pace": {"x": 1.0}}, "pace has the key 'x'"),
        ({"pace": {"64": None}}, r"pace\[64\] is None"),
        ({"shares": 3}, "unknown field 'shares'; did you mean 'share'"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        dataclass_from_json(Outer, {**asdict(WHOLE), **change})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, "9" * 10_000])
def test_a_text_that_is_not_an_object(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_object(text)
    assert len(str(caught.value)) < 200


def test_none_only_where_the_type_allows_it() -> None:
    assert as_kind(float | None, None, "lr") is None
    with pytest.raises(ValueError, match="lr is None"):
        as_kind(float, None, "lr")
