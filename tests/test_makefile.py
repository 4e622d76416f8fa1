import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_what_make_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for path in re.findall(r"\b(?:examples|benchmarks)/[\w/]+\.py", makefile):
        assert (ROOT / path).exists(), path


def name_of(requirement: str) -> str:
    """Return the name of a package, as every spelling of it is written by pip."""
    return re.split("[=><]", requirement)[0].lower().replace("_", "-")


def test_every_dependency_is_locked() -> None:
    """Of what ``make`` installs: both distributions, ``dev``, and the extras that ``dev`` names."""
    locked = {name_of(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    whole, runtime = (tomllib.loads((ROOT / name / "pyproject.toml").read_text()) for name in (".", "runtime"))
    extras, inner = (project["project"]["optional-dependencies"] for project in (whole, runtime))
    (own,) = (line for line in extras["dev"] if line.startswith("alexnet["))
    named = own.removeprefix("alexnet[").rstrip("]").split(",")
    listed = [
        *whole["tool"]["hatch"]["metadata"]["hooks"]["custom"]["dependencies"],
        *runtime["project"]["dependencies"],
        *extras["dev"],
        *(line for name in named for line in (*extras[name], *inner.get(name, ()))),
    ]
    wanted = {name_of(line) for line in listed if not line.startswith("alexnet")}
    assert len(wanted) > 30
    assert wanted <= locked
