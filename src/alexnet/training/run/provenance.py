"""The provenance of a run and its model, for their JSON files."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import torch

from alexnet.data.source import Source
from alexnet.data.store.store import Store
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.monitoring import passes
from alexnet.training.learning.reports import EpochReport
from alexnet.training.learning.state import Training
from alexnet.training.run.resolved_settings import resolved_json
from alexnet.version import VERSION


def settings_json(source: Source, store: Store, settings: Settings, training: Training) -> dict[str, Any]:
    """Return the settings by option name, and under ``resolved`` the values derived from them."""
    return {"data": source.name, **settings.to_json(), "resolved": resolved_json(training, store.size)}


def provenance(
    source: Source, settings: Settings, training: Training, epoch: EpochReport, n_val_seen_before: int
) -> dict[str, Any]:
    """Return how a model was trained, for its ``config.json``.

    Args:
        source: the images.
        settings: the settings.
        training: the finished training.
        epoch: the epoch whose weights are saved.
        n_val_seen_before: number of ``val`` images that the initial weights were trained on.
    """
    return {
        "alexnet": VERSION,
        "torch": torch.__version__,
        "data": source.name,
        "n_train": len(training.train),
        "n_val": len(training.val),
        "recipe": asdict(training.plan.recipe),
        "seed": settings.seed,
        "precision": training.runtime.precision,
        "n_threads": training.runtime.n_threads,
        "init": settings.init,
        "epochs": epoch.epoch,
        "passes": round(passes(training.history[: epoch.epoch], len(training.train)), 2),
        "val_top1": epoch.val_top1,
        "n_val_seen_before": n_val_seen_before,
        "val_loss": epoch.val_loss,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
