"""The images of experiments: found in a folder or downloaded, and subsets drawn with a seed."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from alexnet.data.source import LabelledImage, Source
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import Store, prepare
from alexnet.reproduction.plan.value import Data

# What a data folder may hold, and the named set that stands for it where it does not.
FILES = {"cifar10": "cifar10_jpeg.zip", "trashnet5": "trashnet5"}
NAMED = {"cifar10": "set:cifar10", "digits": "set:digits", "trashnet5": "set:imagenette"}


def which_images(name: str, folder: Path | None) -> str:
    """Return where the images of a set come from: a file or folder of the data folder, or a named set."""
    is_there = name in FILES and folder is not None and (folder / FILES[name]).exists()
    return FILES[name] if is_there else NAMED[name]


def missing(name: str, folder: Path | None) -> str | None:
    """Return in one line which data is not there and what is used instead; None if it is there."""
    if name == "digits" or (set_name := which_images(name, folder)) == FILES[name]:
        return None
    where = "no data folder is given" if folder is None else f"{str(folder / FILES[name])!r} is not there"
    return f"{where}: the set {set_name.removeprefix('set:')} is used instead, and downloaded if it has to be"


@lru_cache(maxsize=4)
def open_images(name: str, folder: Path | None) -> Source:
    """Open a set.

    Raises:
        DataError: it is damaged, or cannot be downloaded.
    """
    found = which_images(name, folder)
    return open_source(found if folder is None or found == NAMED[name] else folder / found)


@lru_cache(maxsize=16)
def subset(data: Data, folder: Path | None, seed: int) -> tuple[Source, Store]:
    """Return the images of a run, split, and their store."""
    source = open_images(data.name, folder)
    parts = {split: _shuffled(source, split, seed) for split in ("train", "val", "test", None)}
    if parts[None]:  # not split: a sixth each for test and val
        undivided = parts[None]
        sixth = len(undivided) // 6
        parts = {"test": undivided[:sixth], "val": [], "train": undivided[sixth:]}
    train, val, test = parts["train"], parts["val"], parts["test"]
    if not val:  # from the end, so that training subsets of any size are nested
        n_val = max(1, min(data.n_val, len(train) // 4))
        val, train = train[-n_val:], train[:-n_val]
    chosen = {"train": train[: data.n_train], "val": val[: data.n_val], "test": test[: data.n_test]}
    images = [LabelledImage(each.path, each.label, split) for split, some in chosen.items() for each in some]
    source = source.with_images(tuple(images))
    return source, prepare(source, data.side, exact=True)


def _shuffled(source: Source, split: str | None, seed: int) -> list[LabelledImage]:
    some = sorted((each for each in source.images if each.split == split), key=lambda each: each.path)
    return [some[i] for i in np.random.default_rng(seed).permutation(len(some))]
