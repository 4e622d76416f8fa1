"""Builds two distributions from one source: each file of src/alexnet is in the wheel of one of them.

The wheel of ``alexnet-runtime`` holds the modules that a contract of pyproject.toml lists; import-linter checks that
these import no torch. The wheel of ``alexnet`` holds the others, and requires the runtime of the same version.
"""

import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

CONTRACT = "The runtime needs no torch"
RUNTIME = "alexnet-runtime"
# These belong to the runtime if anything below their package does.
OF_PACKAGES = ("__init__.py", "py.typed")


class Files(BuildHookInterface):
    """Adds a distribution's own files to its wheel, and to the source archive of the runtime."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say which file goes where. An editable install has the path to src instead."""
        if version == "editable":
            return
        here, is_runtime = Path(self.root), self.metadata.name == RUNTIME
        # The unpacked source archive of the runtime holds no other files.
        is_unpacked = is_runtime and (here / "src").is_dir()
        repository = here.parent if is_runtime and not is_unpacked else here
        modules = [] if is_unpacked else runtime_modules(repository)
        prefix = Path("src") if self.target_name == "sdist" else Path()
        for path in sorted((repository / "src" / "alexnet").rglob("*")):
            file = path.relative_to(repository / "src")
            is_own = is_unpacked or is_in_runtime(file, modules) == is_runtime
            if is_own and path.is_file() and "__pycache__" not in file.parts:
                build_data["force_include"][str(path)] = str(prefix / file)


class Dependencies(MetadataHookInterface):
    """Adds the runtime of the same version to the dependencies of ``alexnet``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dependencies; pyproject.toml lists the others beside this hook."""
        metadata["dependencies"] = [f"{RUNTIME}=={metadata['version']}", *self.config["dependencies"]]


def runtime_modules(repository: Path) -> list[str]:
    """Return the modules of the runtime, such as ``alexnet.cli``, and the packages of which it has all modules."""
    config = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (each for each in config["tool"]["importlinter"]["contracts"] if each["name"] == CONTRACT)
    return list(contract["source_modules"])


def is_in_runtime(file: Path, modules: list[str]) -> bool:
    """Return whether a file, such as ``alexnet/cli.py``, is in the runtime."""
    name = ".".join(file.parent.parts if file.name in OF_PACKAGES else file.with_suffix("").parts)
    return any(
        f"{name}.".startswith(f"{each}.") or (file.name in OF_PACKAGES and each.startswith(f"{name}."))
        for each in modules
    )
