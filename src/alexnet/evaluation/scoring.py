"""Score a saved model on labelled pictures."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.data.batches import Examples, evaluation_batches, examples
from alexnet.data.reading import Track, untracked
from alexnet.data.source import SPLITS, Source
from alexnet.data.sources import open_source
from alexnet.data.split import apply_splits, refuse_changed
from alexnet.data.store import prepare
from alexnet.errors import ArtifactError, DataError, SettingsError
from alexnet.evaluation.metrics import Evaluation, judge
from alexnet.evaluation.views import N_VIEWS, average_of_views
from alexnet.inference.artifact import load_artifact
from alexnet.inference.engine import TorchEngine
from alexnet.inference.probability import Floats

BATCH = 64


@dataclass(frozen=True)
class Judged:
    """An evaluation and what was judged.

    Attributes:
        evaluation: the scores.
        data: name of the data.
        split: which split of it; all of it where None.
        skipped: why pictures could not be read, by path.
        remarks: what a user should know about the data, a line each.
        views: how many views of each picture were averaged.
    """

    evaluation: Evaluation
    data: str
    split: str | None
    skipped: dict[str, str]
    remarks: tuple[str, ...] = ()
    views: int = 1


def evaluate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    views: int = 1,
    data_dir: str | os.PathLike[str] | None = None,
    max_pixels: int | None = None,
    track: Track = untracked,
) -> Judged:
    """Score a saved model on labelled pictures; labels are matched by name.

    Args:
        model: a run folder, a model folder, or ``user/name`` on the Hugging Face hub.
        data: as for training; a run's own data where not given.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.
        views: 1 for the whole picture; 10 for the mean over five windows and their mirror images (section 4.1).
        data_dir: where named sets are; as in training where not given.
        max_pixels: larger pictures are refused; as in training where not given.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, or it is damaged.
        DataError: there is no such data, split, or class.
        SettingsError: ``views`` is neither 1 nor 10.
    """
    if views not in (1, N_VIEWS):
        raise SettingsError(f"views is {views}; it must be 1 or {N_VIEWS}")
    artifact = load_artifact(model)
    run = artifact.folder.parent  # holds the run's settings, if the model has not been taken out of it
    own, own_data_dir = _own_data(run)
    if data is None and own is None:
        raise ArtifactError(f"{str(model)!r} is a model without a run, so it has no data of its own; give DATA")
    if data is None or str(data) == own:
        data_dir = own_data_dir if data_dir is None else data_dir
    source = open_source(str(own) if data is None else data, data_dir)
    is_own = source.name == own
    if is_own:
        source = apply_splits(source, run / "splits.csv", needed=split or "test")
    split = _settle_split(source, split)
    chosen = source.with_pictures(source.in_split(split)) if split else source
    _check_labels(chosen, artifact.classes)

    how = artifact.preprocessing
    # Training has prepared the whole of a run's own data; of other data only what is judged needs to be.
    store = prepare(
        source if is_own else chosen,
        how.store_size,
        resize=how.resize,
        exact=True,
        max_pixels=how.max_pixels if max_pixels is None else max_pixels,
        track=track,
    )
    if is_own:
        # Those that cannot be read any more are named among the skipped instead.
        readable = tuple(each for each in chosen.pictures if each.path in store.rows)
        refuse_changed(chosen.with_pictures(readable), store, run / "splits.csv")
    data_examples = examples(store, chosen, split, artifact.classes, how.n_channels)
    if not len(data_examples):
        raise DataError(f"none of the {len(chosen.pictures)} pictures in {source.name!r} can be read")
    logits = _answers(TorchEngine(artifact), data_examples, how.image_size, views, track)
    skipped = {
        picture.path: store.skipped[picture.path] for picture in chosen.pictures if picture.path in store.skipped
    }
    scores = judge(logits, data_examples.labels, artifact.classes)
    return Judged(scores, source.name, split, skipped, source.remarks + store.remarks, views)


def _answers(engine: TorchEngine, data: Examples, size: int, views: int, track: Track) -> Floats:
    """Return logits, or the logarithm of mean probabilities over views, ``(N, n_classes)``."""
    several = views > 1
    batches = evaluation_batches(data, batch_size=BATCH, size=data.pixels.shape[1] if several else size)
    tracked = track(batches, -(-len(data) // BATCH), "judging")
    if several:
        return np.concatenate([average_of_views(engine.logits, pixels, size) for pixels in tracked])
    return np.concatenate([engine.logits(pixels) for pixels in tracked])


def _own_data(run: Path) -> tuple[str | None, str | None]:
    """Return the data that a run was trained on and its folder of named sets; nothing if this is no run folder."""
    try:
        settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
        return str(settings["data"]), settings.get("data_dir")
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _settle_split(source: Source, split: str | None) -> str | None:
    """Return which split to judge; None for all of data that is not split."""
    present = {picture.split for picture in source.pictures}
    if present == {None}:
        if split is not None:
            raise DataError(f"{source.name!r} is not split; leave out --split to judge all of it")
        return None
    wanted = split or "test"
    if wanted not in present:
        have = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no {wanted} pictures, only {have}; choose with --split")
    return wanted


def _check_labels(source: Source, classes: tuple[str, ...]) -> None:
    unknown = sorted({picture.label for picture in source.pictures} - set(classes))
    if unknown:
        raise DataError(
            f"the model does not know the class {unknown[0]!r} of {source.name!r}; it knows {', '.join(classes)}; "
            "rename the folder or leave it out"
        )
