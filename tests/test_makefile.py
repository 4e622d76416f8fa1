import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_make_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for path in re.findall(r"\b(?:examples|benchmarks)/[\w/]+\.py", makefile):
        assert (ROOT / path).exists(), path


def test_every_dependency_is_locked() -> None:
    locked = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = (ROOT / "pyproject.toml").read_text()
    wanted = {name.lower() for name in re.findall(r'"([a-zA-Z][\w-]*)>=', project)}
    assert wanted <= locked
    assert "hatchling" in locked
