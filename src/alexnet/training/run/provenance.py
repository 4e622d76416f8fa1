"""How a run and its model came to be, for their files: what was chosen, and what followed from it."""

from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from alexnet.data.source import Source
from alexnet.data.store.store import Store
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.reports import EpochReport
from alexnet.training.learning.state import Training
from alexnet.training.learning.watch import passes
from alexnet.training.run.resolved import resolved_json


def settings_json(source: Source, store: Store, settings: Settings, training: Training) -> dict[str, Any]:
    """Return what the user chose, by the names of the options, and under ``resolved`` what followed from it."""
    return {"data": source.name, **settings.to_json(), "resolved": resolved_json(training, store.size)}


def provenance(
    source: Source, settings: Settings, training: Training, kept: EpochReport, *, n_val_seen_before: int
) -> dict[str, Any]:
    """Return what a model says of its training.

    Args:
        source: the images.
        settings: what was chosen.
        training: as it ended.
        kept: the epoch whose weights the model has.
        n_val_seen_before: images of ``val`` that the weights had learned from with which it began.
    """
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
        "passes": round(passes(training.history[: kept.epoch], len(training.train)), 2),
        "val_top1": kept.val_top1,
        "n_val_seen_before": n_val_seen_before,
        "val_loss": kept.val_loss,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
