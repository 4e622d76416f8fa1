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
def test_similar_names_are_one_warning(one, other) -> None:
    (line,) = similar_name_warnings((one, "metal", other))
    assert repr(one) in line
    assert repr(other) in line
    assert "metal" not in line
    assert similar_names(one, (one, "metal", other)) == [other]


def test_different_names_have_no_warning() -> None:
    assert similar_name_warnings(("a", "b", "a b", "ab", "é", "e", "1", "01")) == []


def test_of_many_groups_the_first_are_named() -> None:
    lines = similar_name_warnings([name for number in range(9) for name in (f"a{number}", f"A{number}")])
    assert len(lines) == 6
    assert lines[-1] == "4 more groups of classes differ only in case or blanks"


@pytest.mark.parametrize(
    "name", ["cat (1)", "cat(2)", "cat - Copy", "cat - Copy (2)", "Copy of cat", "cat copy", "cat copy 2"]
)
def test_classes_named_like_copies_have_a_warning(name) -> None:
    assert similar_name_warnings(("cat", name, "dog")) == [
        f"classes {name!r} are named like copies of 'cat'; if they are, delete them"
    ]


def test_classes_with_numbers_are_not_copies() -> None:
    assert similar_name_warnings(("crane (134)", "crane (517)", "copy", "cat 1", "cat 2", "cat", "(1)")) == []
