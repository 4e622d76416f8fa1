"""What followed from the choices, the images and the machine when a run began; it stays when the run goes on."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from alexnet.files.typed_json import as_kind
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.checks import check_count
from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.state import Training
from alexnet.training.machine.runtime import Arithmetic, Runtime


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a run had settled on.

    Attributes:
        recipe: how the network learns, with what followed from the images and the machine.
        n_epochs: how many epochs there are at most.
        architecture: the network.
        classes: class names, in the order of the logits.
        store_size: side of the stored images, in pixels.
        runtime: device and precision.
        n_train: images to learn from.
        n_val: images to judge by.
        loaded: names of the weights that came from elsewhere; None where they are still to be loaded.
    """

    recipe: Recipe
    n_epochs: int
    architecture: Architecture
    classes: tuple[str, ...]
    store_size: int
    runtime: Runtime
    n_train: int
    n_val: int
    loaded: frozenset[str] | None

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Resolved":
        """Read what ``resolved_json`` returned.

        Raises:
            ValueError: something is missing, or of a kind that it cannot be; it is named.
        """

        def read(name: str, kind: Any) -> Any:
            if name not in saved:
                raise ValueError(f"it lacks {name!r}")
            return as_kind(kind, saved[name], name)

        classes = read("classes", tuple[str, ...])
        architecture = Architecture.from_json(read("architecture", dict[str, Any]))
        if architecture.n_classes != len(classes):
            raise ValueError(f"there are {len(classes)} classes, but the network has {architecture.n_classes}")
        for name in ("n_epochs", "store_size", "n_train", "n_val"):
            check_count(name, read(name, int), least=1)
        try:
            device = torch.device(read("device", str))
        except RuntimeError:
            raise ValueError(f"unknown device {saved['device']!r}") from None
        return cls(
            recipe=read("recipe", Recipe),
            n_epochs=saved["n_epochs"],
            architecture=architecture,
            classes=classes,
            store_size=saved["store_size"],
            runtime=Runtime(device, read("precision", Arithmetic)),
            n_train=saved["n_train"],
            n_val=saved["n_val"],
            loaded=frozenset(read("loaded", tuple[str, ...])),
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
        "n_processes": training.group.world_size,
        "loaded": list(training.loaded.taken) if training.loaded else [],
        "alexnet": version("alexnet"),
        "torch": torch.__version__,
    }
