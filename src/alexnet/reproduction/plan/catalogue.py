"""Finds the experiments of a clone: the files of its folder ``experiments``."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from alexnet.errors import InstallError, SettingsError, nearest
from alexnet.reproduction.plan.value import Experiment

# Where a clone has them: beside src.
ROOT = Path(__file__).resolve().parents[4]
REPOSITORY_HAS = ("experiments", "pyproject.toml")


def experiments_folder(root: Path = ROOT) -> Path:
    """Return the folder of experiments.

    Raises:
        InstallError: the package is installed without it.
    """
    if not all((root / name).exists() for name in REPOSITORY_HAS):
        raise InstallError(
            "the experiments are not part of the installed package; clone the repository, and run "
            "alexnet reproduce from the package that is installed from the clone with: pip install -e ."
        )
    return root / "experiments"


def load_experiments(root: Path = ROOT) -> dict[str, Experiment]:
    """Return all experiments by name, in order of worth.

    Raises:
        InstallError: the package is installed without them.
    """
    folder = experiments_folder(root)
    package = "experiments"
    if (loaded := sys.modules.get(package)) is None or list(getattr(loaded, "__path__", ())) != [str(folder)]:
        where = folder / "__init__.py"
        spec = importlib.util.spec_from_file_location(package, where, submodule_search_locations=[str(folder)])
        assert spec is not None
        assert spec.loader is not None
        sys.modules[package] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found = []
    for file in sorted(folder.glob("*.py")):
        if file.stem != "__init__":
            value = getattr(importlib.import_module(f"{package}.{file.stem}"), "EXPERIMENT", None)
            found += [value] if isinstance(value, Experiment) else []
    return {each.name: each for each in sorted(found, key=lambda each: each.worth)}


def chosen(names: Sequence[str], experiments: dict[str, Experiment]) -> list[Experiment]:
    """Return the experiments with some names, in order of worth; all where none is named.

    Raises:
        SettingsError: a name is unknown.
    """
    for name in names:
        if name not in experiments:
            raise SettingsError(f"unknown experiment {name!r}{nearest(name, experiments)}")
    return [each for name, each in experiments.items() if not names or name in names]
