"""Runs as JSON: ``experiments/results/SCALE/NAME/ARM-SEED.json``. No torch here."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from alexnet.data.parallel import n_cores
from alexnet.errors import RunError
from alexnet.files.atomic import write_atomically
from alexnet.reproduction.plan.value import Arm, Scale
from alexnet.training.choices.recipe import Recipe
from alexnet.training.choices.settings import Settings
from alexnet.version import VERSION

KEYS = {"digest", "figures", "curve", "arm", "seed", "images", "settings"}
_DEFAULTS = {each.name: each.default for each in fields(Recipe)}


class OutOfTimeError(RunError):
    """An experiment's share of the time is over."""


@dataclass(frozen=True)
class Results:
    """The stored runs of one scale.

    Attributes:
        folder: ``experiments/results``, or wherever they are to lie.
        scale: the scale.
    """

    folder: Path
    scale: Scale

    def path(self, experiment: str, arm: str, seed: int) -> Path:
        """Return where a run is stored."""
        return self.folder / self.scale / experiment / f"{arm}-{seed}.json"

    def read(self, experiment: str, arm: str, seed: int) -> dict[str, Any] | None:
        """Return a run; None if it is not there.

        Raises:
            RunError: the file is damaged.
        """
        return _read(self.path(experiment, arm, seed))

    def find(self, experiment: str, arm: Arm, seed: int, images: str) -> dict[str, Any] | None:
        """Return the run of an arm and a seed with just these settings, perhaps one of another experiment."""
        wanted = settings_digest(arm, seed, images)
        own = self.read(experiment, arm.name, seed)
        if own is not None and own["digest"] == wanted:
            return own
        for path in sorted((self.folder / self.scale).glob(f"*/*-{seed}.json")):
            found = _read(path)
            if found is not None and found["digest"] == wanted:
                same = {"same_as": f"{path.parent.name}/{path.stem}"}
                return self.write(experiment, arm, seed, images, found | same)
        return None

    def write(self, experiment: str, arm: Arm, seed: int, images: str, run: dict[str, Any]) -> dict[str, Any]:
        """Store a run at once, whole or not at all; return it."""
        path = self.path(experiment, arm.name, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        run = run | {"experiment": experiment, "arm": arm.name, "seed": seed, "images": images}
        run |= {"digest": settings_digest(arm, seed, images)}
        write_atomically(path, json.dumps(run, indent=1) + "\n")
        return run

    def runs(self, experiment: str) -> Iterator[dict[str, Any]]:
        """Yield all stored runs of an experiment."""
        for path in sorted((self.folder / self.scale / experiment).glob("*.json")):
            found = _read(path)
            if found is not None:
                yield found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read the result {str(path)!r}: {error}; delete it to run it again") from error
    if not isinstance(run, dict) or not run.keys() >= KEYS:
        raise RunError(f"{str(path)!r} is not a result; delete it to run it again")
    return run


def settings_digest(arm: Arm, seed: int, images: str) -> str:
    """Return a digest of all that decides a run. A run with the same digest is not computed again.

    Args:
        arm: the arm.
        seed: its seed.
        images: where the images come from: see ``which_images``.
    """
    recipe = Settings(architecture=json.dumps(arm.network.to_json()), **arm.training).resolved_recipe
    # Only what differs from a field's default, so that a new field leaves what is stored valid.
    steps = {each.name: getattr(recipe, each.name) for each in fields(recipe)}
    steps = {name: str(value) for name, value in steps.items() if value != _DEFAULTS[name]}
    text = json.dumps([arm.to_json(), steps, images, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine and the versions, without the names of either's owner."""
    import torch

    return {
        "processor": _processor(),
        "cores": n_cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "alexnet": VERSION,
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str | None:
    """Return the commit of a clone; None for an installed package, or without git."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    folder = Path(__file__).resolve().parents[4]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env={**os.environ})
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
