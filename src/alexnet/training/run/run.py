"""The run folder: settings, splits, metrics, checkpoints and the model, each written whole or not at all.

RUN/settings.json     what was chosen and what followed from it
    init.json         what the weights had seen with which it began, if they are not random
    splits.csv        which image is in which split
    metrics.jsonl     a line an epoch
    checkpoint/       the newest checkpoints and the best epoch, tensors and JSON only
    model/            the trained network, once training has ended
"""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.data.fingerprint import SeenImages
from alexnet.data.record import SPLITS_FILE, write_inherited, write_splits
from alexnet.data.source import Source
from alexnet.data.split import ImageIndex
from alexnet.errors import RunError, shown
from alexnet.files.atomic import atomic_folder, delete_unfinished, lock, sync_file, write_atomically
from alexnet.files.typed_json import as_kind, dataclass_from_json
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.checkpoint import forget_best_after, list_checkpoints, read_json
from alexnet.training.run.resolved import Resolved


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
    def create(
        cls,
        folder: Path,
        settings: dict[str, Any],
        source: Source,
        identities: ImageIndex,
        inherited: SeenImages | None = None,
    ) -> "Run":
        """Make a new run folder.

        Args:
            folder: where.
            settings: what was chosen, and what followed from it.
            source: the images, split.
            identities: what tells them apart.
            inherited: what the weights had seen with which it begins, if they are not random.

        Raises:
            FileExistsError: something is there already. It is left as it is.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder) as unfinished:
            write_splits(unfinished / SPLITS_FILE, source, identities)
            (unfinished / "checkpoint").mkdir()
            if inherited is not None:
                write_inherited(unfinished, inherited)
            text = json.dumps(settings, indent=2, allow_nan=False)
            (unfinished / "settings.json").write_text(text + "\n", encoding="utf-8")
        return cls(folder)

    @property
    def model_folder(self) -> Path:
        """Where the trained network is."""
        return self.folder / "model"

    @property
    def is_finished(self) -> bool:
        """Whether training has ended."""
        return (self.model_folder / "config.json").exists()

    def refuse_strange_model(self) -> None:
        """Refuse to go on where the model could not be written at the end.

        Raises:
            RunError: ``model`` is there, and is none.
        """
        folder = self.model_folder
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(
                f"{str(folder)!r} is no model that training wrote, and stands where one will be; move it away"
            )

    @property
    def newest_checkpoint(self) -> str | None:
        """The name of the checkpoint to go on from, if there is one."""
        names = [folder.name for folder in list_checkpoints(self.checkpoints)]
        return names[-1] if names else None

    @contextmanager
    def held(self, newest: str | None) -> Iterator[None]:
        """Keep other processes from training the same run.

        Args:
            newest: the checkpoint from which it goes on.

        Raises:
            RunError: another one does, or has done so since the checkpoint was read.
        """
        # Not settings.json, of which ``note_data`` writes a new one.
        with (self.folder / SPLITS_FILE).open("rb") as file:
            try:
                lock(file, alone=True)
            except BlockingIOError:
                raise RunError(
                    f"the run {str(self.folder)!r} is being trained by another process; wait for it, or stop it"
                ) from None
            except OSError:
                pass  # a network's file system may not know locks
            if self.is_finished or self.newest_checkpoint != newest:
                raise RunError(f"another process has gone on with the run {str(self.folder)!r} meanwhile; start again")
            yield

    def settings(self) -> dict[str, Any]:
        """Return what was chosen.

        Raises:
            RunError: ``settings.json`` cannot be read, or says two things.
        """
        file = self.folder / "settings.json"
        saved = read_json(file)
        chosen, resolved = saved.get("image_size"), saved.get("resolved")
        followed = resolved.get("image_size") if isinstance(resolved, dict) else chosen
        if chosen is not None and chosen != followed:
            raise RunError(
                f"{str(file)!r} is damaged: image_size is {shown(chosen)} and, under resolved, {shown(followed)}; "
                "put back the one that training wrote"
            )
        return saved

    def chosen(self) -> tuple[Settings, Resolved, str]:
        """Return what the user chose, what followed from it, and the name of the data.

        Raises:
            RunError: ``settings.json`` cannot be read, or holds what training has not written.
        """
        saved = self.settings()
        try:
            data = as_kind(str, saved.get("data"), "data")
            resolved = as_kind(dict[str, Any], saved.get("resolved"), "resolved")
            return Settings.from_json(saved), Resolved.from_json(resolved), data
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{str(self.folder / 'settings.json')!r} is damaged, or of another version of alexnet ({error}); "
                "put back the one that training wrote, or train anew"
            ) from error

    @property
    def command(self) -> str:
        """How to go on with images that have moved."""
        return f"alexnet train DATA --resume {shlex.quote(str(self.folder))}"

    def refuse_other_numbers(self, source: Source, begun: Resolved) -> None:
        """Refuse to go on with fewer images, or more, than the run began with.

        Raises:
            RunError: ``splits.csv`` has lost lines, or has new ones.
        """
        for split, n in (("train", begun.n_train), ("val", begun.n_val)):
            n_now = len(source.in_split(split))
            if n_now != n:
                raise RunError(
                    f"{str(self.folder / SPLITS_FILE)!r} has {n_now} {split} images, but the run began with {n}; "
                    "put back the file that training wrote"
                )

    def note_data(self, name: str) -> None:
        """Write down where the images are now, if they have moved."""
        saved = self.settings()
        if saved["data"] != name:
            moved = {**saved, "data": name, "data_dir": None}
            write_atomically(self.folder / "settings.json", json.dumps(moved, indent=2) + "\n")

    def append(self, report: EpochReport) -> None:
        """Add an epoch to ``metrics.jsonl``; it is on the disk before a checkpoint counts on it."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report), allow_nan=False) + "\n")
            sync_file(file)

    def history(self, n_epochs: int) -> list[EpochReport]:
        """Return the first epochs; those that a killed run had done beyond its checkpoint will be done again.

        Raises:
            RunError: one of them is missing; or see ``metrics``.
        """
        reports = [EpochReport(**line) for line in self.metrics() if line["epoch"] <= n_epochs]
        if len(reports) < n_epochs:
            raise RunError(
                f"{str(self.folder / 'metrics.jsonl')!r} lacks {n_epochs - len(reports)} of the {n_epochs} epochs that "
                "are done; put back what training wrote, or train anew"
            )
        return reports

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``; a last one cut short by a kill is left out.

        Raises:
            RunError: another line is none that ``append`` has written.
        """
        file = self.folder / "metrics.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        reports: list[EpochReport] = []
        for number, line in enumerate(lines, start=1):
            try:
                report = _report(line, is_last=number == len(lines))
                if report is None:
                    break
                if report.epoch <= (reports[-1].epoch if reports else 0):
                    raise ValueError(f"epoch {report.epoch} is out of order")
            except ValueError as error:
                raise RunError(
                    f"{str(file)!r} line {number} is damaged ({error}); put back what training wrote, or train anew"
                ) from error
            reports.append(report)
        return [asdict(report) for report in reports]

    def tidy(self, epoch: int) -> None:
        """Remove what a kill left half-written, and what is of epochs after ``epoch``, which will be done again.

        Raises:
            RunError: see ``metrics``.
        """
        delete_unfinished(self.folder)
        delete_unfinished(self.checkpoints)
        forget_best_after(self.checkpoints, epoch)
        kept = [line for line in self.metrics() if line["epoch"] <= epoch]
        if (self.folder / "metrics.jsonl").exists():
            write_atomically(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.folder / "checkpoint"


def _report(line: bytes, *, is_last: bool) -> EpochReport | None:
    """Return a line of ``metrics.jsonl``; nothing for a last one that is cut short."""
    try:
        saved = json.loads(line)
    except (ValueError, RecursionError) as error:
        if is_last:
            return None
        raise ValueError("it is not JSON") from error
    return dataclass_from_json(EpochReport, saved)
