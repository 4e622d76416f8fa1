"""The run folder: settings, splits, metrics, checkpoints and the model, each written whole or not at all.

RUN/settings.json     what was chosen and what followed from it
    init.json         what the weights had learned from with which it began, if they came from another model
    splits.csv        which picture is in which split
    metrics.jsonl     a line an epoch
    checkpoint/       the newest checkpoints and the best epoch, tensors and JSON only
    model/            the trained network, once training has ended
"""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alexnet.data.fingerprint import Fingerprints, fingerprints_from_json, fingerprints_to_json
from alexnet.data.record import SPLITS_FILE, write_splits
from alexnet.data.source import Source
from alexnet.data.split import Identities
from alexnet.errors import RunError, shown
from alexnet.saved import as_kind, checked
from alexnet.training.checkpoint import forget_best_after, list_checkpoints, read_json
from alexnet.training.reports import EpochReport
from alexnet.training.resolved import Resolved
from alexnet.training.settings import Settings
from alexnet.whole import delete_unfinished, lock, whole_folder, write_whole

_INIT = "init.json"


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
        identities: Identities,
        inherited: Fingerprints | None = None,
    ) -> "Run":
        """Make a new run folder.

        Args:
            folder: where.
            settings: what was chosen, and what followed from it.
            source: the pictures, split.
            identities: what tells them apart.
            inherited: what the weights had learned from with which it begins.

        Raises:
            FileExistsError: something is there already. It is left as it is.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(folder) as unfinished:
            write_splits(unfinished / SPLITS_FILE, source, identities)
            (unfinished / "checkpoint").mkdir()
            if inherited:
                text = json.dumps({"fingerprints": fingerprints_to_json(inherited)})
                (unfinished / _INIT).write_text(text + "\n", encoding="utf-8")
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

    def inherited(self) -> Fingerprints:
        """Return what the weights had learned from with which it began.

        Raises:
            RunError: ``init.json`` is damaged.
        """
        file = self.folder / _INIT
        if not file.exists():
            return {}
        try:
            return fingerprints_from_json(read_json(file).get("fingerprints"))
        except ValueError as error:
            raise RunError(f"{str(file)!r} is damaged ({error}); put back the one that training wrote") from error

    @property
    def command(self) -> str:
        """How to go on with pictures that have moved."""
        return f"alexnet train DATA --resume {shlex.quote(str(self.folder))}"

    def note_data(self, name: str) -> None:
        """Write down where the pictures are now, if they have moved."""
        saved = self.settings()
        if saved["data"] != name:
            moved = {**saved, "data": name, "data_dir": None}
            write_whole(self.folder / "settings.json", json.dumps(moved, indent=2) + "\n")

    def append(self, report: EpochReport) -> None:
        """Add an epoch to ``metrics.jsonl``."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report), allow_nan=False) + "\n")

    def history(self, n_epochs: int) -> list[EpochReport]:
        """Return the first epochs; those that a killed run had done beyond its checkpoint will be done again.

        Raises:
            RunError: see ``metrics``.
        """
        return [EpochReport(**line) for line in self.metrics() if line["epoch"] <= n_epochs]

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
                    f"{str(file)!r} line {number} is damaged ({error}); put back what training wrote, or delete the "
                    "line and those after it"
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
            write_whole(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

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
    return checked(EpochReport, saved)
