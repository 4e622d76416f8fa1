import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_make_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for path in re.findall(r"\b(?:examples|benchmarks)/[\w/]+\.py", makefile):
        assert (ROOT / path).exists(), path


def test_every_dependency_is_locked() -> None:
    """Of what ``make`` installs: the package, ``dev``, and the extras that ``dev`` names."""
    locked = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    (own,) = (line for line in extras["dev"] if line.startswith("alexnet["))
    named = own.removeprefix("alexnet[").rstrip("]").split(",")
    installed = [*project["dependencies"], *extras["dev"], *(line for name in named for line in extras[name])]
    wanted = {line.split(">=")[0].lower() for line in installed if line != own}
    assert len(wanted) > 15
    assert wanted <= locked
    assert "hatchling" in locked
