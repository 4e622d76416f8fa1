"""Gather what is known of a run. What cannot be obtained is ``Missing``, and never stops the rest."""

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from alexnet.data.check import check_prepared
from alexnet.data.parallel import Track, untracked
from alexnet.data.record import SPLITS_FILE, Row, find, read_splits
from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import Store, prepare
from alexnet.errors import AlexNetError, one_line
from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scoring import evaluate
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.images.choices import MAX_PIXELS
from alexnet.inference.classifier import load
from alexnet.model.artifact import Artifact
from alexnet.model.opening import load_artifact
from alexnet.reporting import explained
from alexnet.reporting.facts import Data, Facts, Missing, known, sample
from alexnet.reporting.foreign import predict_foreign
from alexnet.reporting.images import StoredImages
from alexnet.training.run.run import Run

T = TypeVar("T")
N_HEAT_MAPS = 8
N_NEIGHBOURS = 6


def gather(folder: Path, data: str | os.PathLike[str] | None = None, track: Track = untracked) -> Facts:
    """Gather what is known of a finished run: evaluate it, and look at what it learned.

    Args:
        folder: the run folder.
        data: where its images are now; by default where they were.
        track: how progress is shown.

    Raises:
        RunError: the folder is not a run.
        ArtifactError: the run has no model yet, or it is damaged.
    """
    run = Run(folder)
    artifact = load_artifact(folder)
    rows = attempt(lambda: read_splits(folder / SPLITS_FILE))
    moved = f"alexnet report {shlex.quote(str(folder))} --data DATA"
    opened = attempt(lambda: ModelRun(folder, moved).open() if data is None else open_source(data))
    # Where the data cannot be opened, the error names the command that mends the report.
    split = attempt(lambda: evaluated_split(known(rows)) if known(opened) else "")
    evaluation = attempt(lambda: evaluate(folder, data, split=known(split), track=track))
    store = attempt(lambda: _prepare(known(opened), artifact, track))
    source = attempt(lambda: _with_splits(known(opened), known(rows), known(store)))
    images = attempt(lambda: StoredImages(known(source), known(store)))
    classifier = attempt(lambda: load(folder, max_pixels=MAX_PIXELS))
    explainer = attempt(lambda: explained.explainer(known(classifier), data, track))
    looked_at = attempt(lambda: heat_map_choice(known(evaluation).outputs))
    compared = attempt(lambda: sample(known(evaluation).outputs, N_NEIGHBOURS))
    return Facts(
        folder=folder,
        artifact=artifact,
        settings=attempt(run.settings),
        history=attempt(lambda: tuple(run.reports())),
        data=attempt(lambda: _data(known(rows), artifact.classes, source, store)),
        evaluation=evaluation,
        images=images,
        kernels=attempt(lambda: explained.kernels(known(explainer))),
        heat_maps=attempt(lambda: explained.heat_maps(known(explainer), known(images), known(looked_at))),
        neighbours=attempt(lambda: explained.neighbours(known(explainer), known(images), known(compared))),
        foreign=attempt(lambda: predict_foreign(known(classifier))),
    )


def attempt(make: Callable[[], T]) -> T | Missing:
    """Return a value, or why it cannot be made."""
    try:
        return make()
    except Missing as missing:
        return missing
    except AlexNetError as error:
        return Missing(str(error))
    except MemoryError:
        return Missing("there is not enough memory for it")
    except OSError as error:
        return Missing(one_line(error))
    except Exception as error:  # a report on the rest is worth more than none
        return Missing(f"an error in alexnet: {type(error).__name__}: {one_line(error)}")


def evaluated_split(rows: tuple[Row, ...]) -> str:
    """Return the split to evaluate a run on: ``test`` where it has one, else ``val``."""
    return "test" if any(row.split == "test" for row in rows) else "val"


def heat_map_choice(outputs: Outputs) -> tuple[str, ...]:
    """Return the images to show heat maps of: half of them the worst mistakes, the others evenly spread."""
    wrong = np.flatnonzero(~outputs.is_right)
    worst = wrong[np.argsort(outputs.own[wrong], kind="stable")][: N_HEAT_MAPS // 2]
    chosen = [outputs.names[i] for i in worst]
    return tuple(dict.fromkeys([*chosen, *sample(outputs, N_HEAT_MAPS - len(chosen))]))


def _prepare(source: Source, artifact: Artifact, track: Track) -> Store:
    how = artifact.preprocessing
    return prepare(source, how.store_size, resize=how.resize, exact=True, max_pixels=how.max_pixels, track=track)


def _with_splits(source: Source, rows: tuple[Row, ...], store: Store) -> Source:
    """Return those images of a source that are the run's, with the run's splits."""
    found = find(rows, source, store)
    images = (LabelledImage(image.path, image.label, row.split) for row, image in found.pairs if image is not None)
    return source.with_images(tuple(images))


def _data(rows: tuple[Row, ...], classes: tuple[str, ...], source: Source | Missing, store: Store | Missing) -> Data:
    """Return what is known of the data: the counts always, the rest where it can still be opened."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.label][row.split] += 1
    by_class = {label: {split: counts[label][split] for split in SPLITS} for label in classes}
    try:
        now, prepared = known(source), known(store)
    except Missing as missing:
        return Data(by_class, {}, missing=missing)
    return Data(by_class, prepared.skipped, check_prepared(now, prepared), (*now.warnings, *prepared.warnings))
