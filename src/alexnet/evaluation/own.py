"""The run that made a network, and the images that are its own: known by their content, wherever they lie."""

import os
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet.data.record import (
    SPLITS_FILE,
    Row,
    find,
    open_recorded,
    read_splits,
    what_is_added,
    what_is_missing,
    what_is_relabelled,
)
from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.model.artifact import Artifact


@dataclass(frozen=True)
class OwnRun:
    """The run that made a model, as far as judging the model needs it.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @classmethod
    def of(cls, artifact: Artifact) -> "OwnRun | None":
        """Return the run in which a model lies; None for a model that was taken out of its run."""
        model = artifact.folder
        if model.name in ("", ".."):
            model = Path(os.path.abspath(model))  # noqa: PTH100 - which takes ".." away
        is_of_run = model.name == "model" and all(
            (model.parent / name).exists() for name in (SPLITS_FILE, "settings.json")
        )
        return cls(model.parent) if is_of_run else None

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its images."""
        return read_splits(self.folder / SPLITS_FILE)

    def data(self) -> tuple[str, str | None]:
        """Return the name of the data it was trained on, and its folder of named sets.

        Raises:
            DataError: its ``settings.json`` is damaged.
        """
        file = self.folder / "settings.json"
        try:
            settings = parse_object(file.read_text(encoding="utf-8"))
            folder = as_kind(str | None, settings.get("data_dir"), "data_dir")
            return as_kind(str, settings.get("data"), "data"), folder
        except (OSError, ValueError) as error:
            raise DataError(f"{str(file)!r} is damaged ({error}); put back the one that training wrote") from error

    def open(self, data_dir: str | os.PathLike[str] | None = None) -> Source:
        """Open the data that it was trained on.

        Raises:
            DataError: they are not there any more, among others.
        """
        name, own_dir = self.data()
        return open_recorded(name, own_dir if data_dir is None else data_dir, self.folder, self.command)

    @property
    def command(self) -> str:
        """How to say where its images are."""
        return f"alexnet evaluate {shlex.quote(str(self.folder))} DATA"


@dataclass(frozen=True)
class OwnImages:
    """A run's own images of one split, as they are found in some data.

    Attributes:
        images: those, labelled as they are now; one that cannot be read any more among them.
        missing: the rows of the others.
        warnings: what a user should know of the data, a line each.
    """

    images: tuple[LabelledImage, ...]
    missing: tuple[Row, ...]
    warnings: tuple[str, ...]


def own_images(run: OwnRun, source: Source, store: Store, split: str) -> OwnImages:
    """Look for a run's own images of a split.

    Args:
        run: the run.
        source: where to look.
        store: the same, prepared.
        split: ``train``, ``val`` or ``test``.
    """
    found = find(run.rows, source, store)
    # One that cannot be read any more is not missing: it is named among the skipped.
    unreadable = {each.path: each for each in source.images if each.path in store.skipped}
    own = [(row, image or unreadable.get(row.path)) for row, image in found.pairs if row.split == split]
    warnings = what_is_added(found.added)
    if relabelled := [(row, image) for row, image in found.relabelled if row.split == split]:
        warnings.append(f"{what_is_relabelled(relabelled)}; they are judged by the labels of now")
    return OwnImages(
        tuple(LabelledImage(each.path, each.label, split) for _, each in own if each is not None),
        tuple(row for row, each in own if each is None),
        tuple(warnings),
    )


def refuse_incomplete(run: OwnRun, own: OwnImages, source: Source, split: str) -> None:
    """Refuse to judge a part of what a run has set aside to be judged.

    Raises:
        DataError: images have gone or changed, or there never were any.
    """
    if own.missing:
        n = len(own.missing) + len(own.images)
        missing = what_is_missing(own.missing, n, run.folder, source)
        raise DataError(f"{missing}; put them back, or say where they are: {run.command}")
    if not own.images:
        have = " and ".join(name for name in SPLITS if any(row.split == name for row in run.rows))
        raise DataError(f"the run {str(run.folder)!r} has no {split} images, only {have}; choose with --split")
