"""What followed from the choices, the pictures and the machine when a run began; it stays when the run goes on."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, get_args

import torch

from alexnet.errors import SettingsError
from alexnet.network.architecture import Architecture
from alexnet.network.layers import check_choice, check_count
from alexnet.training.recipe import Recipe
from alexnet.training.runtime import Arithmetic, Runtime
from alexnet.training.state import Training


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a run had settled on.

    Attributes:
        recipe: how the network learns, with what followed from the pictures and the machine.
        n_epochs: how many epochs there are at most.
        architecture: the network.
        classes: class names, in the order of the logits.
        store_size: side of the stored pictures, in pixels.
        runtime: device and precision.
        loaded: names of the weights that came from elsewhere; None where they are still to be loaded.
    """

    recipe: Recipe
    n_epochs: int
    architecture: Architecture
    classes: tuple[str, ...]
    store_size: int
    runtime: Runtime
    loaded: frozenset[str] | None

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Resolved":
        """Read what ``resolved_json`` returned.

        Raises:
            SettingsError: something is missing, or of a kind that it cannot be; it is named.
        """
        for name in ("recipe", "architecture", "classes", "n_epochs", "store_size", "device", "precision", "loaded"):
            if name not in saved:
                raise SettingsError(f"{name!r} is missing")
        check_count("n_epochs", saved["n_epochs"], least=1)
        check_count("store_size", saved["store_size"], least=1)
        check_choice("precision", saved["precision"], get_args(Arithmetic))
        classes = _words("classes", saved["classes"])
        architecture = Architecture.from_json(_object("architecture", saved["architecture"]))
        if architecture.n_classes != len(classes):
            raise SettingsError(f"there are {len(classes)} classes, but the network has {architecture.n_classes}")
        try:
            device = torch.device(saved["device"])
        except (RuntimeError, TypeError):
            raise SettingsError(f"unknown device {saved['device']!r}") from None
        return cls(
            recipe=Recipe.from_json(_object("recipe", saved["recipe"])),
            n_epochs=saved["n_epochs"],
            architecture=architecture,
            classes=classes,
            store_size=saved["store_size"],
            runtime=Runtime(device, saved["precision"]),
            loaded=frozenset(_words("loaded", saved["loaded"])),
        )


def resolved_json(training: Training, store_size: int) -> dict[str, Any]:
    """Return what ``Resolved.from_json`` reads, and for people some more."""
    plan = training.plan
    return {
        "image_size": plan.architecture.image_size,
        "store_size": store_size,
        "classes": list(training.classes),
        "device": str(training.runtime.device),
        "precision": training.runtime.precision,
        "n_epochs": plan.n_epochs,
        "recipe": asdict(plan.recipe),
        "architecture": plan.architecture.to_json(),
        "n_train": len(training.train),
        "n_val": len(training.val),
        "n_processes": training.group.n_ranks,
        "loaded": list(training.loaded.taken) if training.loaded else [],
        "alexnet": version("alexnet"),
        "torch": torch.__version__,
    }


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{name} is no object")
    return value


def _words(name: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise SettingsError(f"{name} is no list of names")
    return tuple(values)
