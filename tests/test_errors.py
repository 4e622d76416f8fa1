"""What messages say of many and long names, and of what is not installed."""

import pytest

from alexnet.errors import MOST_CHARACTERS, AlexNetError, listed, nearest, shown, whole_package, words

LONG = [f"{number} {'x' * 250}" for number in range(1000)]


def test_a_few_short_names_are_all_said() -> None:
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed("abcdefg") == "'a', 'b', 'c', 'd', 'e' and 2 more"
    assert words(["a", "b"]) == "a, b"
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"
    assert nearest("ac", ["abc", "x"]) == "; did you mean 'abc'?"


def test_many_long_names_are_counted() -> None:
    assert listed(LONG).endswith(" and 999 more")
    assert len(listed(LONG)) < MOST_CHARACTERS
    assert len(words(map(str, range(1000)))) <= MOST_CHARACTERS
    assert len(nearest("zzz", (f"name {number}" for number in range(1000)))) <= MOST_CHARACTERS + len("; known: ")


def test_a_long_value_keeps_its_ends() -> None:
    assert shown("short") == "'short'"
    assert len(shown(LONG[7])) <= 60
    assert shown(LONG[7]).startswith("'7 xxx")
    assert len(shown({"layers": LONG})) < 250


def test_what_only_the_whole_package_needs_is_named_in_one_line() -> None:
    with pytest.raises(ImportError) as caught, whole_package("alexnet train", "; or do not"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    assert str(caught.value) == (
        "alexnet train needs the whole package; install it with: pip install alexnet; or do not"
    )
    assert isinstance(caught.value, AlexNetError), "the command line prints it as one line"


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'pandas'", name="pandas"),
        ImportError("cannot import name 'Tensor' from 'torch'", name="torch"),
        ModuleNotFoundError("No module named 'alexnet.nonsense'", name="alexnet.nonsense"),
        ValueError("x"),
    ],
    ids=["another package", "a broken torch", "a mistake in the whole package", "no import"],
)
def test_other_errors_stay_what_they_are(error) -> None:
    with pytest.raises(type(error)) as caught, whole_package("alexnet train"):
        raise error
    assert caught.value is error
