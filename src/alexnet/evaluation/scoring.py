"""Evaluate a saved model on labelled images."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alexnet.data.batches.batches import evaluation_batches
from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import Track, untracked
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source, set_name
from alexnet.data.store.store import prepare
from alexnet.errors import ArtifactError, DataError, SettingsError
from alexnet.evaluation.card import evaluation_card
from alexnet.evaluation.labels import labelled_as
from alexnet.evaluation.metrics import Scores, score
from alexnet.evaluation.run_images import ModelRun
from alexnet.evaluation.selection import candidates, select
from alexnet.evaluation.views import N_VIEWS, average_of_views
from alexnet.html.elements import Html
from alexnet.inference.engine import TorchEngine
from alexnet.inference.probability import Floats
from alexnet.model.opening import load_artifact

BATCH_SIZE = 64


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of a model, and the data they were computed on.

    Attributes:
        scores: the scores.
        data: name of the data.
        split: the split of the data; None for all of it.
        skipped: why images could not be read, by path.
        warnings: what a user should know about the data, a line each.
        views: how many views of each image were averaged.
    """

    scores: Scores
    data: str
    split: str | None
    skipped: dict[str, str]
    warnings: tuple[str, ...] = ()
    views: int = 1
    intervals: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> Html:
        """Return what a notebook shows: the headline numbers and the confusion matrix."""
        which = f"{self.split} images" if self.split else "images"
        views = f", {self.views} views of each" if self.views > 1 else ""
        title = f"{self.scores.n_images} {which} of {self.data}{views}"
        return evaluation_card(title, self.scores, self.intervals, self.warnings)


def evaluate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    views: int = 1,
    data_dir: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    track: Track = untracked,
) -> EvaluationResult:
    """Evaluate a saved model on labelled images; labels are matched by name.

    Images that the model learned from are left out, with a warning, wherever they are stored: see ``selection.select``.

    Args:
        model: a run folder, a model folder, or ``hf:user/name`` on the Hugging Face hub.
        data: as for training; the data of the run where not given.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.
        views: 1 for the whole image; 10 for the mean over five windows and their mirror images (section 4.1).
        data_dir: where named sets are; as in training where not given.
        max_pixels: larger images are refused; as in training where not given.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        DataError: there is no such data, split, or class.
        SettingsError: ``views`` is neither 1 nor 10.
    """
    if views not in (1, N_VIEWS):
        raise SettingsError(f"views is {views}; it must be 1 or {N_VIEWS}")
    artifact = load_artifact(model)
    run = ModelRun.of(artifact)
    source, is_run_data = _open(model, run, data, data_dir)
    source = candidates(source, split, is_run_data=is_run_data)
    how = artifact.preprocessing
    max_pixels = how.max_pixels if max_pixels is None else max_pixels
    store = prepare(source, how.store_size, resize=how.resize, exact=True, max_pixels=max_pixels, track=track)
    chosen = select(source, store, artifact, run=run, is_run_data=is_run_data, split=split)
    source = labelled_as(chosen.source, artifact.classes)

    data_examples = examples(store, source, None, artifact.classes, artifact.architecture.in_channels)
    if not len(data_examples):
        raise DataError(f"none of the {len(source.images)} images in {source.name!r} can be read")
    logits = _logits(TorchEngine(artifact), data_examples, artifact.architecture.image_size, views, track)
    skipped = {each.path: store.skipped[each.path] for each in source.images if each.path in store.skipped}
    scores = score(logits, data_examples.labels, artifact.classes)
    warnings = (*source.warnings, *store.warnings, *chosen.warnings)
    return EvaluationResult(scores, source.name, chosen.split, skipped, warnings, views)


def _open(
    model: str | os.PathLike[str],
    run: ModelRun | None,
    data: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str] | None,
) -> tuple[Source, bool]:
    """Return the data to evaluate on, and whether it is the data that the run was trained on."""
    if data is None:
        if run is None:
            raise ArtifactError(f"{str(model)!r} is a model without its run, so its data is unknown; give DATA")
        return run.open(data_dir), True
    try:
        recorded, recorded_dir = run.data() if run is not None else (None, None)
    except DataError:  # the run's settings are damaged, but other data does not need them
        recorded, recorded_dir = None, None
    if data_dir is None and recorded is not None and set_name(data) == recorded:
        data_dir = recorded_dir
    source = open_source(data, data_dir)
    return source, source.name == recorded


def _logits(engine: TorchEngine, data: Examples, size: int, views: int, track: Track) -> Floats:
    """Return logits, or the logarithm of mean probabilities over views, ``(N, n_classes)``."""
    several = views > 1
    batches = evaluation_batches(data, batch_size=BATCH_SIZE, size=data.pixels.shape[1] if several else size)
    tracked = track(batches, -(-len(data) // BATCH_SIZE), "evaluating")
    if several:
        return np.concatenate([average_of_views(engine.logits, pixels, size) for pixels in tracked])
    return np.concatenate([engine.logits(pixels) for pixels in tracked])
