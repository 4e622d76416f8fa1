"""The run that trained a model, and its images: found in any data by their content."""

import os
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet.data.record import (
    SPLITS_FILE,
    Row,
    added_warnings,
    find,
    missing_message,
    open_recorded,
    read_splits,
    relabelled_message,
)
from alexnet.data.source import SPLITS, LabelledImage, Source
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.model.artifact import Artifact


@dataclass(frozen=True)
class ModelRun:
    """The run that trained a model, as far as evaluation needs it.

    Attributes:
        folder: the run folder.
        moved: the command to name where its images are not there any more; by default that which evaluates it.
    """

    folder: Path
    moved: str | None = None

    @classmethod
    def of(cls, artifact: Artifact) -> "ModelRun | None":
        """Return the run whose folder holds the model; None for a model that was copied out of its run."""
        model = artifact.folder
        if model.name in ("", ".."):
            model = Path(os.path.abspath(model))  # noqa: PTH100 - which resolves ".."
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
        """Open the data it was trained on.

        Raises:
            DataError: the data is not there any more, or cannot be opened.
        """
        name, recorded_dir = self.data()
        return open_recorded(name, recorded_dir if data_dir is None else data_dir, self.folder, self.command)

    @property
    def command(self) -> str:
        """The command that takes the place where its images are now."""
        return self.moved or f"alexnet evaluate {shlex.quote(str(self.folder))} DATA"


@dataclass(frozen=True)
class RunImages:
    """The images of one split of a run that were found in some data.

    Attributes:
        images: those found, with their present labels; also those that cannot be read any more.
        missing: the rows of the others.
        warnings: what a user should know about the data, a line each.
    """

    images: tuple[LabelledImage, ...]
    missing: tuple[Row, ...]
    warnings: tuple[str, ...]


def find_run_images(run: ModelRun, source: Source, store: Store, split: str) -> RunImages:
    """Find a run's images of one split.

    Args:
        run: the run.
        source: the data to search.
        store: the same, prepared.
        split: ``train``, ``val`` or ``test``.
    """
    found = find(run.rows, source, store)
    # An image that cannot be read any more is not missing: it is reported as skipped.
    unreadable = {each.path: each for each in source.images if each.path in store.skipped}
    pairs = [(row, image or unreadable.get(row.path)) for row, image in found.pairs if row.split == split]
    warnings = added_warnings(found.added)
    if relabelled := [(row, image) for row, image in found.relabelled if row.split == split]:
        warnings.append(f"{relabelled_message(relabelled)}; they are scored by their new labels")
    return RunImages(
        tuple(LabelledImage(image.path, image.label, split) for _, image in pairs if image is not None),
        tuple(row for row, image in pairs if image is None),
        tuple(warnings),
    )


def refuse_incomplete(run: ModelRun, found: RunImages, source: Source, split: str) -> None:
    """Refuse to evaluate on a part of a run's split.

    Raises:
        DataError: images are gone or have changed, or the run has no such split.
    """
    if found.missing:
        n = len(found.missing) + len(found.images)
        message = missing_message(found.missing, n, run.folder, source)
        raise DataError(f"{message}; put them back, or say where they are: {run.command}")
    if not found.images:
        have = " and ".join(name for name in SPLITS if any(row.split == name for row in run.rows))
        raise DataError(f"the run {str(run.folder)!r} has no {split} images, only {have}; choose with --split")
