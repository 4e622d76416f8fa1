"""How a run and its model came to be, for their files: what was chosen, and what followed from it."""

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from alexnet.data.source import Source
from alexnet.data.store import Store
from alexnet.training.reports import EpochReport
from alexnet.training.settings import Settings
from alexnet.training.state import Training


def settings_json(source: Source, store: Store, settings: Settings, training: Training) -> dict[str, Any]:
    """Return what the user chose, by the names of the options, and under ``resolved`` what followed from it."""
    plan = training.plan
    resolved = {
        "image_size": plan.architecture.image_size,
        "store_size": store.size,
        "device": str(training.runtime.device),
        "precision": training.runtime.precision,
        "recipe": asdict(plan.recipe),
        "n_train": len(training.train),
        "n_val": len(training.val),
        "n_processes": training.group.n_ranks,
        "loaded": list(training.loaded.taken) if training.loaded else [],
        "alexnet": version("alexnet"),
        "torch": torch.__version__,
    }
    return {"data": source.name, **settings.to_json(), "resolved": resolved}


def provenance(source: Source, settings: Settings, training: Training, kept: EpochReport) -> dict[str, Any]:
    """Return what a model says of its training; ``kept`` is the epoch whose weights it has."""
    return {
        "alexnet": version("alexnet"),
        "torch": torch.__version__,
        "data": source.name,
        "n_train": len(training.train),
        "n_val": len(training.val),
        "recipe": asdict(training.plan.recipe),
        "seed": settings.seed,
        "precision": training.runtime.precision,
        "init": settings.init,
        "epochs": kept.epoch,
        "val_top1": kept.val_top1,
        "val_loss": kept.val_loss,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
