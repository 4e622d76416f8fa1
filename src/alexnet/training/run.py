"""The run folder: settings, splits, metrics, checkpoints and the model, each written whole or not at all.

RUN/settings.json     what was chosen and what followed from it
    splits.csv        which picture is in which split
    metrics.jsonl     a line an epoch
    checkpoint/       the newest checkpoints and the best epoch, tensors and JSON only
    model/            the trained network, once training has ended
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.data.source import Source
from alexnet.data.split import Identities, write_splits
from alexnet.errors import RunError
from alexnet.training.checkpoint import list_checkpoints, read_json
from alexnet.training.reports import EpochReport
from alexnet.whole import delete_unfinished, lock, whole_folder, write_whole


class Run:
    """A run folder that exists. ``create`` makes one, ``Run(path)`` opens one.

    Args:
        folder: where it is.
        here: whether this machine can see it; of several, it is enough if the one that leads can.

    Raises:
        RunError: the folder is no run.
    """

    def __init__(self, folder: Path, *, here: bool = True) -> None:
        self.folder = folder
        if not here:
            return
        if not folder.is_dir():
            raise RunError(f"there is no run at {str(folder)!r}; give the folder that training made")
        if not (folder / "settings.json").exists():
            raise RunError(
                f"{str(folder)!r} is not a run folder: it has no settings.json; give the folder that training made"
            )

    @classmethod
    def create(cls, folder: Path, settings: dict[str, Any], source: Source, identities: Identities) -> "Run":
        """Make a new run folder.

        Raises:
            RunError: something is there already.
        """
        refuse_existing(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(folder) as unfinished:
            write_splits(unfinished / "splits.csv", source, identities)
            (unfinished / "checkpoint").mkdir()
            (unfinished / "settings.json").write_text(
                json.dumps(settings, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
        return cls(folder)

    @property
    def model_folder(self) -> Path:
        """Where the trained network is."""
        return self.folder / "model"

    @property
    def is_finished(self) -> bool:
        """Whether training has ended."""
        return (self.model_folder / "config.json").exists()

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is anything to go on from."""
        return bool(list_checkpoints(self.checkpoints))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training the same run.

        Raises:
            RunError: another one does.
        """
        with (self.folder / "settings.json").open("rb") as file:
            try:
                lock(file, alone=True)
            except BlockingIOError:
                raise RunError(
                    f"the run {str(self.folder)!r} is being trained by another process; wait for it, or stop it"
                ) from None
            except OSError:
                pass  # a network's file system may not know locks
            yield

    def settings(self) -> dict[str, Any]:
        """Return what was chosen.

        Raises:
            RunError: ``settings.json`` cannot be read.
        """
        return read_json(self.folder / "settings.json")

    def append(self, report: EpochReport) -> None:
        """Add an epoch to ``metrics.jsonl``."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report), allow_nan=False) + "\n")

    def history(self, n_epochs: int) -> list[EpochReport]:
        """Return the first epochs; those that a killed run had done beyond its checkpoint will be done again."""
        return [EpochReport(**line) for line in self.metrics() if line["epoch"] <= n_epochs]

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``; one cut short by a kill is left out."""
        file = self.folder / "metrics.jsonl"
        lines = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
        return lines

    def tidy(self, epoch: int) -> None:
        """Remove what a kill left half-written, and the metrics of epochs after ``epoch``, which will be done again."""
        delete_unfinished(self.folder)
        delete_unfinished(self.checkpoints)
        kept = [line for line in self.metrics() if line["epoch"] <= epoch]
        if (self.folder / "metrics.jsonl").exists():
            write_whole(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.folder / "checkpoint"


def refuse_existing(folder: Path) -> None:
    """Refuse to train into a folder that holds anything.

    Raises:
        RunError: something is there already.
    """
    if (folder / "settings.json").exists():
        raise RunError(
            f"{str(folder)!r} holds another run, which is never overwritten; "
            f"choose another --out, or continue it with --resume {folder}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{str(folder)!r} exists and is not an empty folder; choose another --out")
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise RunError(
            f"{str(folder)!r} cannot be made, because {str(parent)!r} cannot be written to; choose another --out"
        )
