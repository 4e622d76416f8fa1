"""The images that an export is made with and compared on: those of the run that trained the network, or others."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import Track
from alexnet.data.record import Row, find
from alexnet.data.source import LabelledImage, Source
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import Store, prepare
from alexnet.errors import DataError, SettingsError
from alexnet.evaluation.selection.labels import labelled_as
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.explanation.gallery import choose, most_images
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import resize, to_channels
from alexnet.model.artifact import Artifact
from alexnet.model.exported import enlarge

# Of each split. A difference in top-1 of a tenth of a point is visible on them.
MOST_COMPARED = 1000
N_TESTED = 8
BATCH_SIZE = 32
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ExportImages:
    """The images of an export.

    Attributes:
        train: they choose the ranges of an int8 export and the factors of a shrunk one, and some of them become its
            self-test.
        val: they choose the rank of a shrunk export.
        test: the export is compared with its original on them.
        split: the split that the last are of: ``test`` if there are any such images.
        image_size: side of the network's images, in pixels.
    """

    train: Examples
    val: Examples
    test: Examples
    split: str
    image_size: int

    def batches(self, images: Examples, track: Track, what: str) -> Iterator[Pixels]:
        """Yield images as the network takes them, ``(N, image_size, image_size, C)`` uint8, in order."""
        batches = evaluation_batches(images, batch_size=BATCH_SIZE, size=self.image_size)
        yield from track(batches, -(-len(images) // BATCH_SIZE), what)

    def self_test(self) -> Pixels:
        """Return ``N_TESTED`` images spread over the classes, ``(N_TESTED, image_size, image_size, C)`` uint8.

        They have half the network's size, each pixel doubled: so they take a quarter of the room in the export, and no
        program resizes them in its own way.
        """
        places = choose([str(label) for label in self.train.labels], N_TESTED)
        rows = self.train.rows[np.resize(places, N_TESTED)]
        side = -(-self.image_size // 2)
        small = np.stack([resize(self.train.pixels[int(row)], side, side) for row in rows])
        return enlarge(to_channels(small, self.train.n_channels), self.image_size)


def open_images(
    artifact: Artifact,
    calibrate: str | os.PathLike[str] | None,
    data_dir: str | os.PathLike[str] | None,
    track: Track,
) -> ExportImages:
    """Find the images of a model's run, in its own data or in other data; or choose among other data.

    The images of a run are found by content, and keep their splits. Other data keeps its own splits; without splits, a
    third of it stands for each.

    Args:
        artifact: the model.
        calibrate: the data; that of the run where not given.
        data_dir: where named sets are.
        track: how progress is shown.

    Raises:
        DataError: the images are gone or have changed, or the network does not know their classes.
        SettingsError: no data is given for a model without its run.
    """
    run = ModelRun.of(artifact)
    if run is not None:
        run = ModelRun(run.folder, f"alexnet export {shlex.quote(str(run.folder))} --calibrate DATA")
    if calibrate is not None:
        source = open_source(calibrate, data_dir)
    elif run is not None:
        source = run.open(data_dir)
    else:
        raise SettingsError(
            f"{str(artifact.folder)!r} is a model without its run, so its images are unknown; give some images of its "
            "classes with --calibrate DATA"
        )
    limits = {"train": most_images(artifact.architecture), "val": MOST_COMPARED, "test": MOST_COMPARED}
    found = None if run is None else _of_run(run, artifact, source, limits, track)
    if found is None and calibrate is None and run is not None:
        raise DataError(
            f"most images of the run {str(run.folder)!r} are not in {source.name!r}, or have changed; say where they "
            f"are: {run.command}"
        )
    store, source = found or _of_others(artifact, source, limits, track)
    return _by_split(artifact, store, source)


def _of_run(
    run: ModelRun, artifact: Artifact, source: Source, limits: dict[str, int], track: Track
) -> tuple[Store, Source] | None:
    """Return the images of a run in some data, with their splits in the run; None if none is there."""
    known = [row for row in run.rows if row.label in artifact.classes]
    rows: list[Row] = []
    for split in SPLITS:
        of_split = [row for row in known if row.split == split]
        rows += [of_split[place] for place in _sample([row.label for row in of_split], limits[split], split)]
    paths = {row.path for row in rows}
    here = tuple(each for each in source.images if each.path in paths)
    if len(here) == len(rows):  # else they may be anywhere
        source = source.with_images(here)
    store = _prepare(artifact, source, track)
    pairs = find(rows, source, store).pairs
    images = tuple(LabelledImage(image.path, row.label, row.split) for row, image in pairs if image is not None)
    # A few of them, in other data, would stand for all.
    return (store, source.with_images(images)) if 2 * len(images) >= len(rows) else None


def _of_others(artifact: Artifact, source: Source, limits: dict[str, int], track: Track) -> tuple[Store, Source]:
    """Return images of other data, each with a split. The network is compared on none that it was trained on."""
    source = labelled_as(source, artifact.classes)
    images = [each for each in source.images if each.split is not None]
    loose = [each for each in source.images if each.split is None]
    for number, place in enumerate(np.random.default_rng(0).permutation(len(loose)).tolist()):
        images.append(LabelledImage(loose[place].path, loose[place].label, SPLITS[number % len(SPLITS)]))
    chosen: list[LabelledImage] = []
    for split in SPLITS:
        of_split = [each for each in images if each.split == split]
        chosen += [of_split[place] for place in _sample([each.label for each in of_split], limits[split], split)]
    source = source.with_images(tuple(chosen))
    store = _prepare(artifact, source, track)
    known = () if artifact.seen is None else artifact.seen.train
    readable = (each for each in source.images if each.path in store.rows)
    return store, source.with_images(
        tuple(each for each in readable if each.split == "train" or store.content(each.path) not in known)
    )


def _sample(labels: Sequence[str], most: int, split: str) -> list[int]:
    """Return the places of at most ``most`` images: of ``train`` as many of each class, of others as they come."""
    if split == "train":
        return choose(labels, most)
    return [round(place) for place in np.linspace(0, len(labels) - 1, min(most, len(labels))).tolist()]


def _prepare(artifact: Artifact, source: Source, track: Track) -> Store:
    how = artifact.preprocessing
    return prepare(source, how.store_size, resize=how.resize, exact=True, max_pixels=how.max_pixels, track=track)


def _by_split(artifact: Artifact, store: Store, source: Source) -> ExportImages:
    """Return the readable images by split. An empty split is replaced by another."""
    net = artifact.architecture
    of = {split: examples(store, source, split, artifact.classes, net.in_channels) for split in SPLITS}
    compared = next(split for split in ("test", "val", "train") if len(of[split]))
    train = of["train"] if len(of["train"]) else of[compared]
    val = of["val"] if len(of["val"]) else train
    return ExportImages(train, val, of[compared], compared, net.image_size)
