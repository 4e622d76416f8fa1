import unicodedata

import pytest

from alexnet.data.source import similar_name_warnings, similar_names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Glass", "glass"),
        ("paper", "paper "),
        ("a  b", "a b"),
        ("É", unicodedata.normalize("NFD", "é")),
        ("STRASSE", "straße"),
    ],
)
def test_names_that_are_alike_are_said_side_by_side(one, other) -> None:
    (line,) = similar_name_warnings((one, "metal", other))
    assert repr(one) in line
    assert repr(other) in line
    assert "metal" not in line
    assert similar_names(one, (one, "metal", other)) == [other]


def test_names_that_are_not_alike_are_not_said() -> None:
    assert similar_name_warnings(("a", "b", "a b", "ab", "é", "e", "1", "01")) == []


def test_of_many_groups_the_first_are_said() -> None:
    lines = similar_name_warnings([name for number in range(9) for name in (f"a{number}", f"A{number}")])
    assert len(lines) == 6
    assert lines[-1] == "so do 4 more groups of classes"


@pytest.mark.parametrize(
    "name", ["cat (1)", "cat(2)", "cat - Copy", "cat - Copy (2)", "Copy of cat", "cat copy", "cat copy 2"]
)
def test_classes_that_are_called_as_copies_are_said(name) -> None:
    assert similar_name_warnings(("cat", name, "dog")) == [
        f"classes {name!r} are named like copies of 'cat'; if they are, delete them"
    ]


def test_classes_with_numbers_are_no_copies() -> None:
    assert similar_name_warnings(("crane (134)", "crane (517)", "copy", "cat 1", "cat 2", "cat", "(1)")) == []
