"""The house stays one that a stranger can read: small rooms, short files, and paths that lead where they say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "alexnet"
ROOMS = sorted({path.parent for path in PACKAGE.rglob("*.py")})


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(PACKAGE).as_posix())
def test_a_room_has_at_most_ten_files_and_says_what_it_is(room) -> None:
    files = [path for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= 10, sorted(path.name for path in files)
    assert (room / "__init__.py").read_text(encoding="utf-8").startswith('"""')


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_the_two_paths_in_contributing_are_short_and_lead_along_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = [part.split("\n\n**")[0] for part in re.split(r"^\*\*An image, ", text, flags=re.MULTILINE)[1:]]
    assert len(paths) == 2
    for path in paths:
        steps = path.strip().splitlines()[1:]
        assert len([line for line in steps if line]) <= 12
        named = re.findall(r"`([\w/]+\.py)`", path)
        assert len(named) >= 6
        assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_the_decision_draws_every_room() -> None:
    drawn = (ROOT / "docs" / "decisions" / "0001-the-house.md").read_text(encoding="utf-8")
    for room in ROOMS[1:]:
        assert room.name in drawn, room
