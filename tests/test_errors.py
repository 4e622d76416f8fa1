"""What messages say of many and long names."""

from alexnet.errors import MOST_CHARACTERS, listed, nearest, shown, words

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
