"""Predict labelled images with one or several saved models: the same images for all."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import Track
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source, set_name
from alexnet.data.store.store import Store, prepare
from alexnet.errors import ArtifactError, DataError, SettingsError
from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.selection.choice import Selection, candidates, leave_out_seen, select
from alexnet.evaluation.selection.labels import labelled_as
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.evaluation.views import N_VIEWS, average_of_views
from alexnet.images.preprocessing import Library
from alexnet.inference.engines.engine import Engine, EngineName, choose_engine, open_engine
from alexnet.inference.member import columns as columns_of
from alexnet.inference.probability import Floats, log_softmax
from alexnet.model.artifact import Artifact, resizing_alike
from alexnet.model.opening import load_artifact

BATCH_SIZE = 64

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Predicted:
    """What several models predict for the same images.

    Attributes:
        outputs: one for each model, in order.
        source: the images, also those that cannot be read.
        split: the split of the data; None for all of it.
        skipped: why images could not be read, by path.
        warnings: what a user should know about the data, a line each.
        engines: what has computed the outputs of each model, for people.
    """

    outputs: tuple[Outputs, ...]
    source: Source
    split: str | None
    skipped: dict[str, str]
    warnings: tuple[str, ...]
    engines: tuple[str, ...]


def predict_labelled(
    models: Sequence[PathLike],
    data: PathLike | None,
    *,
    split: str | None,
    views: int,
    data_dir: PathLike | None,
    max_pixels: int | None,
    engine: EngineName,
    track: Track,
) -> Predicted:
    """Predict labelled images with several models; the arguments are those of ``evaluate``.

    The data and its split are those of the first model. Images that any of the models learned from are left out. All
    models see the same pixels, so that an export can be compared with its original.

    Raises:
        ArtifactError: there is no such model, it is damaged, or an exported model fails its own test on this machine.
        DataError: there is no such data, split, or class.
        SettingsError: ``views`` is neither 1 nor 10, models have other classes than the first, or the engine cannot run
            them.
    """
    if views not in (1, N_VIEWS):
        raise SettingsError(f"views is {views}; it must be 1 or {N_VIEWS}")
    artifacts = resizing_alike([load_artifact(each) for each in models])
    first, *others = artifacts
    # Before anything is prepared, what cannot work is refused.
    columns = [columns_of(each, first.classes) for each in artifacts]
    names = [choose_engine(each, engine) for each in artifacts]
    run = ModelRun.of(first)
    source, is_run_data = _open(models[0], run, data, data_dir)
    source = candidates(source, split, is_run_data=is_run_data)
    store = _prepare(source, first, max_pixels, track)
    chosen = select(source, store, first, run=run, is_run_data=is_run_data, split=split)
    for model, artifact in zip(models[1:], others, strict=True):
        chosen = leave_out_seen(chosen, store, artifact, ModelRun.of(artifact), f"the model {str(model)!r}")
    chosen = replace(chosen, source=labelled_as(chosen.source, first.classes))
    stores = [store, *(_prepare(chosen.source, each, max_pixels, track) for each in others)]
    readable, skipped = _readable(chosen, stores)
    outputs, engines = [], []
    for artifact, name, some, each in zip(artifacts, names, columns, stores, strict=True):
        opened = open_engine(artifact, name)  # one at a time: several may be larger than the memory
        engines.append(opened.title)
        outputs.append(_outputs(opened, artifact, some, each, readable, first.classes, views, track))
    warnings = (*chosen.source.warnings, *store.warnings, *chosen.warnings)
    return Predicted(tuple(outputs), chosen.source, chosen.split, skipped, warnings, tuple(engines))


def open_data(model: PathLike, data: PathLike | None, data_dir: PathLike | None) -> Source:
    """Open the data that a model is evaluated on: the given, or that of its run.

    Raises:
        ArtifactError: there is no such model, or no data is given for a model without its run.
        DataError: there is no such data.
    """
    source, _ = _open(model, ModelRun.of(load_artifact(model)), data, data_dir)
    return source


def _open(
    model: PathLike, run: ModelRun | None, data: PathLike | None, data_dir: PathLike | None
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


def _prepare(source: Source, artifact: Artifact, max_pixels: int | None, track: Track) -> Store:
    how = artifact.preprocessing
    max_pixels = how.max_pixels if max_pixels is None else max_pixels
    return prepare(
        source,
        how.store_size,
        resize=how.resize,
        exact=True,
        max_pixels=max_pixels,
        library=how.library,
        track=track,
    )


def _readable(chosen: Selection, stores: Sequence[Store]) -> tuple[Source, dict[str, str]]:
    """Return the images that are in all stores, and why the others are not."""
    images = chosen.source.images
    skipped = {each.path: store.skipped[each.path] for each in images for store in stores if each.path in store.skipped}
    readable = tuple(each for each in images if all(each.path in store.rows for store in stores))
    if not readable:
        raise DataError(f"none of the {len(images)} images in {chosen.source.name!r} can be read")
    return chosen.source.with_images(readable), skipped


def _outputs(
    engine: Engine,
    artifact: Artifact,
    columns: list[int],
    store: Store,
    source: Source,
    classes: tuple[str, ...],
    views: int,
    track: Track,
) -> Outputs:
    """Return the outputs of one model, with its columns in the order of some classes."""
    data = examples(store, source, None, classes, artifact.architecture.in_channels)
    temperature = artifact.calibration.temperature if views == 1 else artifact.calibration.ten_views
    size, library = artifact.architecture.image_size, artifact.preprocessing.library
    logits = logits_of(engine, data, size, views, track, library)
    return Outputs(classes, data.names, data.labels, log_softmax(logits[:, columns], temperature), temperature)


def logits_of(
    engine: Engine, data: Examples, size: int, views: int, track: Track, library: Library | None = None
) -> Floats:
    """Return logits, or the logarithm of mean probabilities over views, ``(N, n_classes)``.

    Args:
        engine: runs the network.
        data: the images.
        size: the side of what the network takes, in pixels.
        views: how many views of each image.
        track: how progress is shown.
        library: what resizes images; None: torch where it is installed.
    """
    several = views > 1
    side = data.pixels.shape[1] if several else size
    batches = evaluation_batches(data, batch_size=BATCH_SIZE, size=side, library=library)
    tracked = track(batches, -(-len(data) // BATCH_SIZE), "evaluating")
    if several:
        return np.concatenate([average_of_views(engine.logits, pixels, size, library) for pixels in tracked])
    return np.concatenate([engine.logits(pixels) for pixels in tracked])
