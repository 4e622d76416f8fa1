"""An environment with the distribution alexnet-runtime alone: its wheel, unpacked, and links to what it requires."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def build_wheel(project: Path, out: Path) -> Path:
    """Build the wheel of a project; nothing is installed, and no network is needed."""
    return Path(next(WheelBuilder(str(project)).build(directory=str(out), versions=["standard"])))


def make_environment(wheel: Path, folder: Path, *extras: str) -> Path:
    """Make a folder of packages: a wheel, with what it requires in these versions. Return the folder."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    (metadata,) = folder.glob("*.dist-info")
    for found in required(Distribution.at(metadata), *extras):
        assert found.files is not None
        for name in {path.parts[0] for path in found.files} - {"..", "__pycache__"}:
            link = folder / name
            if not link.exists():
                link.symlink_to(found.locate_file(name))
    return folder


def required(wanted: Distribution, *extras: str) -> list[Distribution]:
    """Return the distributions that one requires, and those that these require, as they are installed here."""
    found: dict[str, Distribution] = {}
    left = [(wanted, ("", *extras))]
    while left:
        each, given = left.pop()
        for requirement in map(Requirement, each.requires or []):
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            is_meant = not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in given)
            if is_meant and name not in found:
                found[name] = distribution(name)
                left.append((found[name], ("", *requirement.extras)))
    return list(found.values())


def run_in(environment: Path, script: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that sees the environment and Python's own modules, and nothing else."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(environment)!r})\n{script}"]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload]


def alexnet_in(environment: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in the environment."""
    return run_in(environment, f"from alexnet.cli import main; main({[str(each) for each in arguments]})", **options)
