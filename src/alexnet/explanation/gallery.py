"""What a network sees in the images that it learned from: their embeddings, and what excites each channel most.

It is computed once, in one pass over at most 2,000 images, and kept in the run folder as ``gallery.safetensors``.
"""

import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import Track, untracked
from alexnet.data.record import find
from alexnet.data.source import LabelledImage
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare
from alexnet.errors import DataError
from alexnet.evaluation.selection.run_images import ModelRun
from alexnet.explanation.activations import Integers, Numbers, activations
from alexnet.files.atomic import atomic_file
from alexnet.images.decoding import Pixels
from alexnet.model.artifact import WEIGHTS, Artifact
from alexnet.network.value.architecture import Architecture

if TYPE_CHECKING:
    from alexnet.inference.engines.torch_engine import TorchEngine

FILE = "gallery.safetensors"
# Increase it when what is saved changes.
FORMAT = 1
# Enough for neighbours of every class. A large network looks at fewer, so that the pass takes about 20 s on two cores:
# 1,236 for the default one at 224 px, where an image takes 15 to 18 ms.
MOST_IMAGES, FEWEST_IMAGES = 2000, 100
MOST_MULT_ADDS = 1_250_000_000_000
N_PATCHES = 4
BATCH_SIZE = 64
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True, eq=False)
class Patches:
    """What excites the channels of one layer.

    Attributes:
        images: the images in which each channel is largest, as rows of the gallery, most first, ``(C, k)``.
        places: where in the layer's map, counted row by row, ``(C, k)``.
        mean: the mean over all images of a channel's largest activation, ``(C,)``.
        std: its standard deviation, ``(C,)``.
    """

    images: Integers
    places: Integers
    mean: Numbers
    std: Numbers


@dataclass(frozen=True, eq=False)
class Gallery:
    """What a network sees in images of its training split.

    Attributes:
        names: their paths in the data, ``(N,)``.
        labels: their classes, ``(N,)``.
        embeddings: the output of the last hidden layer, ``(N, n_features)`` float16.
        patches: what excites the channels, by the layer's name.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    embeddings: npt.NDArray[np.float16]
    patches: dict[str, Patches]
    _images: Examples

    def image(self, row: int) -> Pixels:
        """Return an image as it is stored, ``(S, S, 3)`` uint8."""
        return self._images.pixels[int(self._images.rows[row])]

    @classmethod
    def of(
        cls,
        run_folder: Path,
        artifact: Artifact,
        engine: "TorchEngine",
        *,
        data: str | os.PathLike[str] | None = None,
        track: Track = untracked,
    ) -> "Gallery":
        """Return the gallery of a run. It is read from the run folder if it is there and fits, else computed and saved.

        Args:
            run_folder: the run that trained the model.
            artifact: the model.
            engine: runs it.
            data: where the images of the run are now; by default where they were.
            track: how progress is shown.

        Raises:
            DataError: the images are gone or have changed, or the run's files are damaged.
        """
        from safetensors.numpy import save

        run = ModelRun(run_folder, f"alexnet explain {shlex.quote(str(run_folder))} IMAGE --data DATA")
        images, contents = _training_images(run, artifact, data, track)
        file, key = run_folder / FILE, _key(artifact, contents)
        tensors = _read(file, key)
        if tensors is None:
            tensors = _compute(engine, images, artifact.architecture.image_size, track)
            with suppress(OSError), atomic_file(file) as unfinished:  # the run folder may be read-only
                unfinished.write(save(tensors, {"key": key}))
        patches = {
            name: Patches(*(tensors[f"{name}.{kind}"] for kind in ("images", "places", "mean", "std")))
            for name, _, _ in artifact.architecture.conv_layers()
        }
        labels = tuple(artifact.classes[label] for label in images.labels)
        return cls(images.names, labels, tensors["embeddings"], patches, images)


def most_images(net: Architecture) -> int:
    """Return how many images a network looks at, at most."""
    return max(FEWEST_IMAGES, min(MOST_IMAGES, MOST_MULT_ADDS // net.n_mult_adds))


def choose(labels: Sequence[str], most: int, seed: int = 0) -> list[int]:
    """Return the positions of at most ``most`` images, in order, as evenly spread over the classes as there are images.

    Args:
        labels: the class of each image.
        most: how many to choose.
        seed: seeds the choice within each class.
    """
    n_before: Counter[str] = Counter()
    ranked = []
    for position in np.random.default_rng(seed).permutation(len(labels)).tolist():
        ranked.append((n_before[labels[position]], position))
        n_before[labels[position]] += 1
    # The first image of each class, then the second of each, and so on.
    ranked.sort(key=lambda pair: pair[0])
    return sorted(position for _, position in ranked[:most])


def _training_images(
    run: ModelRun, artifact: Artifact, data: str | os.PathLike[str] | None, track: Track
) -> tuple[Examples, list[str]]:
    """Return images of the run's training split, prepared, and the digests of their contents.

    They are found by content, also where they have moved or have other names; those that have changed are left out.
    """
    rows = [row for row in run.rows if row.split == "train" and row.label in artifact.classes]
    chosen = [rows[position] for position in choose([row.label for row in rows], most_images(artifact.architecture))]
    source, paths = run.open() if data is None else open_source(data), {row.path for row in chosen}
    here = tuple(each for each in source.images if each.path in paths)
    if len(here) == len(chosen):  # else they may be anywhere
        source = source.with_images(here)
    how = artifact.preprocessing
    store = prepare(source, how.store_size, resize=how.resize, exact=True, max_pixels=how.max_pixels, track=track)
    found = [LabelledImage(image.path, row.label) for row, image in find(chosen, source, store).pairs if image]
    if not found:
        raise DataError(f"no training image of the run {str(run.folder)!r} is in {source.name!r}, or all have changed")
    images = examples(
        store, source.with_images(tuple(found)), None, artifact.classes, artifact.architecture.in_channels
    )
    return images, [store.content(name) for name in images.names]


def _key(artifact: Artifact, contents: list[str]) -> str:
    """Return a digest of all that a gallery depends on."""
    with (artifact.folder / WEIGHTS).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("\n".join((str(FORMAT), weights, *contents)).encode()).hexdigest()


def _read(file: Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """Return the tensors of a saved gallery; None if there is none, or one of other weights or images."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as saved:
            if (saved.metadata() or {}).get("key") != key:
                return None
            return {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - it is no dictionary
    except (OSError, SafetensorError):
        return None


def _compute(engine: "TorchEngine", images: Examples, image_size: int, track: Track) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a gallery, from one pass over its images."""
    embeddings = []
    values: dict[str, list[Numbers]] = {}
    places: dict[str, list[Integers]] = {}
    batches = evaluation_batches(images, batch_size=BATCH_SIZE, size=image_size)
    for pixels in track(batches, -(-len(images) // BATCH_SIZE), "looking at training images"):
        seen = activations(engine.model, engine.normalised(pixels))
        embeddings.append(np.clip(seen.embeddings, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16))
        for name, peaks in seen.peaks.items():
            values.setdefault(name, []).append(peaks.values)
            places.setdefault(name, []).append(peaks.places)
    tensors: dict[str, npt.NDArray[Any]] = {"embeddings": np.concatenate(embeddings)}
    for name in values:
        largest, where = (np.ascontiguousarray(np.concatenate(each[name]).T) for each in (values, places))
        # A copy: safetensors writes the memory of a view as it lies.
        first = np.ascontiguousarray(np.argsort(-largest, axis=1, kind="stable")[:, :N_PATCHES])
        tensors[f"{name}.images"] = first
        tensors[f"{name}.places"] = np.take_along_axis(where, first, axis=1)
        tensors[f"{name}.mean"], tensors[f"{name}.std"] = largest.mean(axis=1), largest.std(axis=1)
    return tensors
