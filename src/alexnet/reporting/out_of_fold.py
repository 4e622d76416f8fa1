"""Predict every image of a data set with a network that was not trained on it, to find wrong labels.

A network knows its training images by heart, wrong labels too. So the images are divided into folds, and each fold is
predicted by a small network trained on the others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from alexnet.data.parallel import Track, untracked
from alexnet.data.source import LabelledImage, Source
from alexnet.data.split import ImageIndex, kept_together
from alexnet.data.store.store import Store, store_size
from alexnet.errors import DataError, SettingsError
from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scores.calibration import fit_temperature
from alexnet.evaluation.scores.metrics import Integers
from alexnet.images.preprocessing import Preprocessing
from alexnet.inference.probability import Floats, log_softmax
from alexnet.training.assembly import assemble, init_runtime, prepare_images
from alexnet.training.auto import MAX_SMALL, choose_by_images
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit, val_logits

# Half the channels at 67 px, or at the size of small images.
WIDTH, IMAGE_SIZE, EPOCHS = 0.5, 67, 15


@dataclass(frozen=True)
class Result:
    """What small networks predict for images that they were not trained on.

    Attributes:
        outputs: for all readable images, in the order of their data.
        skipped: why the others cannot be read, by path.
        warnings: what a user should know about the data, a line each.
    """

    outputs: Outputs
    skipped: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Fold:
    """The logits ``(N, n_classes)`` for the images of one fold, with their names and class numbers."""

    names: tuple[str, ...]
    labels: Integers
    logits: Floats


def out_of_fold(source: Source, how: Preprocessing, n_folds: int, *, seed: int = 0, track: Track = untracked) -> Result:
    """Return what small networks predict for images that they were not trained on: for all readable images.

    Copies of an image are in the same fold, and so are similar images of a class. Splits of the data do not matter.

    Args:
        source: the images.
        how: how images become square, and how large they may be.
        n_folds: the number of folds, and of networks; each is trained on the images of all folds but one.
        seed: of the folds and the networks.
        track: shows the progress of preparing and training.

    Raises:
        DataError: a class has too few images.
        SettingsError: ``n_folds`` is below 2.
    """
    if n_folds < 2:
        raise SettingsError(f"out_of_fold is {n_folds}; it must be at least 2: networks are trained on the other folds")
    settings = Settings(width=WIDTH, epochs=EPOCHS, seed=seed, resize=how.resize, max_pixels=how.max_pixels)
    store = prepare_images(source, settings, store_size(None), track=track)
    settings, _ = choose_by_images(settings, store)
    if settings.base.image_size > MAX_SMALL:
        settings = replace(settings, image_size=IMAGE_SIZE)
    fold_of = divide(source, store, n_folds, seed)
    epochs = track(_train_folds(source, store, settings, fold_of, n_folds), n_folds * EPOCHS, "epochs of all folds")
    outputs = _joined([fold for fold in epochs if fold is not None], source)
    return Result(outputs, store.skipped, (*source.warnings, *store.warnings))


def divide(source: Source, index: ImageIndex, n_folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each readable image by path: every class divided as evenly as its copies allow.

    Raises:
        DataError: a class has fewer groups of different images than there are folds.
    """
    readable = [image for image in source.images if image.path in index.rows]
    fold_of: dict[str, int] = {}
    first = 0

    def spread(groups: list[list[LabelledImage]]) -> None:
        nonlocal first
        contents = {min(index.content(image.path) for image in group): group for group in groups}
        order = sorted(contents, key=lambda content: hashlib.sha256(f"{seed}:{content}".encode()).digest())
        for place, content in enumerate(order, start=first):
            fold_of.update((image.path, place % n_folds) for image in contents[content])
        first += len(order)

    for label, groups in sorted(kept_together(readable, index, n_folds).items()):
        if len(groups) < n_folds:
            advice = "add images of it, or leave it out" if len(groups) < 2 else f"give --out-of-fold {len(groups)}"
            raise DataError(
                f"{source.name!r} has {len(groups)} different images of {label!r}, fewer than {n_folds} folds; {advice}"
            )
        spread(groups)
    # Copies under two labels, of which at least one is wrong.
    twice: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in readable:
        if image.path not in fold_of:
            twice[index.pixel_digest(image.path)].append(image)
    spread(list(twice.values()))
    return fold_of


def _train_folds(
    source: Source, store: Store, settings: Settings, fold_of: dict[str, int], n_folds: int
) -> Iterator[_Fold | None]:
    """Train a network without each fold in turn; yield after each epoch, and after its last one the fold."""
    readable = [image for image in source.images if image.path in fold_of]
    for number in range(n_folds):
        images = (replace(each, split="val" if fold_of[each.path] == number else "train") for each in readable)
        runtime, group = init_runtime(settings)
        training = assemble(source.with_images(tuple(images)), store, settings, runtime, group=group)
        val = training.val
        for report in fit(training):
            if report.epoch < EPOCHS:
                yield None
        yield _Fold(val.names, val.labels, val_logits(training, training.plan.architecture.image_size))


def _joined(folds: list[_Fold], source: Source) -> Outputs:
    """Return the outputs of all folds, in the order of the images in their data."""
    logits, labels = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("logits", "labels"))
    names = [name for fold in folds for name in fold.names]
    place = {image.path: i for i, image in enumerate(source.images)}
    order = sorted(range(len(names)), key=lambda i: place[names[i]])
    temperature = fit_temperature(logits, labels)
    return Outputs(
        classes=source.classes,
        names=tuple(names[i] for i in order),
        labels=labels[order],
        log_probabilities=log_softmax(logits[order], temperature),
        temperature=temperature,
    )
