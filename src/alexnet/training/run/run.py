"""The run folder; each file is written atomically.

RUN/settings.json     the settings, and the values derived from them
    init.json         the images that the weights of --init had seen
    splits.csv        the split of each image
    metrics.jsonl     one line per epoch
    progress.svg      the curves of the epochs so far
    checkpoint/       the newest checkpoints and the best epoch, as tensors and JSON
    model/            the trained network, after training has ended
    report.html       what alexnet report says of it
    gallery.*         what alexnet explain knows of its training images
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
from alexnet.html.blocks import card, image, link, note
from alexnet.html.elements import Html, element
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.checkpoint import delete_best_after, list_checkpoints, read_json
from alexnet.training.run.curves import as_svg, curves
from alexnet.training.run.resolved_settings import ResolvedSettings

# What a notebook links to, in this order.
LINKED = ("report.html", "model", "metrics.jsonl", "settings.json", SPLITS_FILE)


class Run:
    """An existing run folder. ``create`` makes a new one, ``Run(path)`` opens one.

    Args:
        folder: the run folder.
        check: whether to check that it is a run; False if it is on the disk of another machine.

    Raises:
        RunError: the folder is not a run.
    """

    def __init__(self, folder: Path, *, check: bool = True) -> None:
        self.folder = folder
        if not check:
            return
        if not folder.is_dir():
            raise RunError(f"there is no run at {str(folder)!r}; give the run folder of a training")
        if not (folder / "settings.json").exists():
            raise RunError(
                f"{str(folder)!r} is not a run folder: it has no settings.json; give the run folder of a training"
            )

    @classmethod
    def create(
        cls,
        folder: Path,
        settings: dict[str, Any],
        source: Source,
        index: ImageIndex,
        inherited: SeenImages | None = None,
    ) -> "Run":
        """Create a new run folder.

        Args:
            folder: the folder to create.
            settings: the content of ``settings.json``.
            source: the images, split.
            index: identifies images by content.
            inherited: the images that the weights of ``--init`` had seen; None for random weights.

        Raises:
            FileExistsError: the folder exists already. It is left unchanged.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder) as unfinished:
            write_splits(unfinished / SPLITS_FILE, source, index)
            (unfinished / "checkpoint").mkdir()
            if inherited is not None:
                write_inherited(unfinished, inherited)
            text = json.dumps(settings, indent=2, allow_nan=False)
            (unfinished / "settings.json").write_text(text + "\n", encoding="utf-8")
        return cls(folder)

    @property
    def model_folder(self) -> Path:
        """The folder of the trained network."""
        return self.folder / "model"

    @property
    def is_finished(self) -> bool:
        """Whether training has ended."""
        return (self.model_folder / "config.json").exists()

    def check_model_folder(self) -> None:
        """Check that the model can be written at the end.

        Raises:
            RunError: ``model`` exists, and is not a model.
        """
        folder = self.model_folder
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{str(folder)!r} is not a model, but training will write the model there; move it away")

    @property
    def newest_checkpoint(self) -> str | None:
        """The name of the newest checkpoint; None if there is none."""
        names = [folder.name for folder in list_checkpoints(self.checkpoints)]
        return names[-1] if names else None

    @contextmanager
    def locked(self, newest: str | None) -> Iterator[None]:
        """Lock the run, so that no other process trains it.

        Args:
            newest: the checkpoint that was loaded.

        Raises:
            RunError: another process trains the run, or has trained it since the checkpoint was loaded.
        """
        # Not settings.json, which ``update_data`` replaces.
        with (self.folder / SPLITS_FILE).open("rb") as file:
            try:
                lock(file, alone=True)
            except BlockingIOError:
                raise RunError(
                    f"the run {str(self.folder)!r} is being trained by another process; wait for it, or stop it"
                ) from None
            except OSError:
                pass  # network file systems may not support locks
            if self.is_finished or self.newest_checkpoint != newest:
                raise RunError(f"another process has continued the run {str(self.folder)!r} meanwhile; start again")
            yield

    def settings(self) -> dict[str, Any]:
        """Return the content of ``settings.json``.

        Raises:
            RunError: it cannot be read, or contradicts itself.
        """
        file = self.folder / "settings.json"
        saved = read_json(file)
        chosen, resolved = saved.get("image_size"), saved.get("resolved")
        derived = resolved.get("image_size") if isinstance(resolved, dict) else chosen
        if chosen is not None and chosen != derived:
            raise RunError(
                f"{str(file)!r} is damaged: image_size is {shown(chosen)}, but {shown(derived)} under resolved; "
                "restore the original file"
            )
        return saved

    def parsed_settings(self) -> tuple[Settings, ResolvedSettings, str]:
        """Return the settings, the resolved settings, and the name of the data.

        Raises:
            RunError: ``settings.json`` cannot be read, or is invalid.
        """
        saved = self.settings()
        try:
            data = as_kind(str, saved.get("data"), "data")
            resolved = as_kind(dict[str, Any], saved.get("resolved"), "resolved")
            return Settings.from_json(saved), ResolvedSettings.from_json(resolved), data
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{str(self.folder / 'settings.json')!r} is damaged, or of another version of alexnet ({error}); "
                "restore the original file, or train again"
            ) from error

    @property
    def command(self) -> str:
        """The command to resume with images that have moved."""
        return f"alexnet train DATA --resume {shlex.quote(str(self.folder))}"

    def check_split_sizes(self, source: Source, resolved: ResolvedSettings) -> None:
        """Check that the run has as many images as at its start.

        Raises:
            RunError: ``splits.csv`` has lost lines, or has new ones.
        """
        for split, n in (("train", resolved.n_train), ("val", resolved.n_val)):
            n_now = len(source.in_split(split))
            if n_now != n:
                raise RunError(
                    f"{str(self.folder / SPLITS_FILE)!r} has {n_now} {split} images, but the run started with {n}; "
                    "restore the original file"
                )

    def update_data(self, name: str) -> None:
        """Save the new name of the data in ``settings.json``, if the images have moved."""
        saved = self.settings()
        if saved["data"] != name:
            moved = {**saved, "data": name, "data_dir": None}
            write_atomically(self.folder / "settings.json", json.dumps(moved, indent=2) + "\n")

    def append(self, report: EpochReport) -> None:
        """Append an epoch to ``metrics.jsonl``, synced to the disk before the next checkpoint is written."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report), allow_nan=False) + "\n")
            sync_file(file)

    def history(self, n_epochs: int) -> list[EpochReport]:
        """Return the first ``n_epochs`` reports; a killed run repeats the epochs after its last checkpoint.

        Raises:
            RunError: one of them is missing; or see ``metrics``.
        """
        reports = [report for report in self.reports() if report.epoch <= n_epochs]
        if len(reports) < n_epochs:
            raise RunError(
                f"{str(self.folder / 'metrics.jsonl')!r} lacks {n_epochs - len(reports)} of {n_epochs} epochs; "
                "restore the original file, or train again"
            )
        return reports

    def reports(self) -> list[EpochReport]:
        """Return the reports of all epochs; it raises what ``metrics`` raises."""
        return [EpochReport(**line) for line in self.metrics()]

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``, without an incomplete last line.

        Raises:
            RunError: another line is damaged.
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
                    f"{str(file)!r} line {number} is damaged ({error}); restore the original file, or train again"
                ) from error
            reports.append(report)
        return [asdict(report) for report in reports]

    def clean_up(self, epoch: int) -> None:
        """Delete unfinished files, and the files and lines of epochs after ``epoch``, which will be repeated.

        Raises:
            RunError: see ``metrics``.
        """
        delete_unfinished(self.folder)
        delete_unfinished(self.checkpoints)
        delete_best_after(self.checkpoints, epoch)
        kept = [line for line in self.metrics() if line["epoch"] <= epoch]
        if (self.folder / "metrics.jsonl").exists():
            write_atomically(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def _repr_html_(self) -> Html:
        """Return what a notebook shows: the curves, the last epoch, and links to the files."""
        try:
            history = self.reports()
        except RunError as error:
            shown = [note(str(error))]
        else:
            shown = [_drawn(history), element("div", str(history[-1]))] if history else [note("no epoch is done yet")]
        files = [self.folder / name for name in LINKED if (self.folder / name).exists()]
        links = [element("span", link(file, file.name), style="margin-right:1em") for file in files]
        return card(str(self.folder), *shown, *links)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoint"


def _drawn(history: list[EpochReport]) -> Html:
    return image(
        as_svg(curves(history)).encode(), "svg+xml", "curves of the losses and of top-1", style="max-width:100%"
    )


def _report(line: bytes, *, is_last: bool) -> EpochReport | None:
    """Parse a line of ``metrics.jsonl``; return None for an incomplete last line."""
    try:
        saved = json.loads(line)
    except (ValueError, RecursionError) as error:
        if is_last:
            return None
        raise ValueError("it is not JSON") from error
    return dataclass_from_json(EpochReport, saved)
