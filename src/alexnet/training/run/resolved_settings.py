"""The resolved settings of a run: derived from settings, images and machine at its start, unchanged when resumed."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from alexnet.files.typed_json import as_kind
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.checks import check_count
from alexnet.training.choices.recipe import Recipe
from alexnet.training.learning.state import Training
from alexnet.training.machine.runtime import Arithmetic, Runtime
from alexnet.version import VERSION


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings:
    """The resolved settings of a run.

    Attributes:
        recipe: the recipe, adapted to images and machine.
        n_epochs: maximum number of epochs.
        architecture: the network.
        classes: class names, in the order of the logits.
        store_size: side of the stored images, in pixels.
        runtime: device, precision and threads.
        n_train: number of training images.
        n_val: number of validation images.
        loaded: names of the tensors loaded with ``--init``; None if they must still be loaded.
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
    def from_json(cls, saved: dict[str, Any]) -> "ResolvedSettings":
        """Read the output of ``resolved_json``.

        Raises:
            ValueError: a value is missing or invalid; the message names it.
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
        n_threads = as_kind(int | None, saved.get("n_threads"), "n_threads")  # older runs did not record it
        if n_threads is not None:
            check_count("n_threads", n_threads, least=1)
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
            runtime=Runtime(device, read("precision", Arithmetic), n_threads),
            n_train=saved["n_train"],
            n_val=saved["n_val"],
            loaded=frozenset(read("loaded", tuple[str, ...])),
        )


def resolved_json(training: Training, store_size: int) -> dict[str, Any]:
    """Return the input of ``ResolvedSettings.from_json``, and more values for people to read."""
    plan = training.plan
    return {
        "image_size": plan.architecture.image_size,
        "store_size": store_size,
        "classes": list(training.classes),
        "device": str(training.runtime.device),
        "precision": training.runtime.precision,
        "n_threads": training.runtime.n_threads,
        "n_epochs": plan.n_epochs,
        "recipe": asdict(plan.recipe),
        "architecture": plan.architecture.to_json(),
        "n_train": len(training.train),
        "n_val": len(training.val),
        "n_processes": training.group.world_size,
        "loaded": list(training.loaded.taken) if training.loaded else [],
        "alexnet": VERSION,
        "torch": torch.__version__,
    }
