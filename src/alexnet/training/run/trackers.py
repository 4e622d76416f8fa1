"""Experiment trackers: TensorBoard, Weights & Biases and MLflow. Each logs the reports of ``fit_steps``.

So does ``progress.svg``, which every run has.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from alexnet.errors import RunError, SettingsError
from alexnet.files.atomic import write_atomically
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.training.choices.settings import TrackerName
from alexnet.training.learning.reports import EpochReport, Report, TrainingWarning
from alexnet.training.run.progress import PROGRESS, ProgressFile

# The package of each tracker; the extra to install has the tracker's name.
_PACKAGES: dict[TrackerName, str] = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
# Holds the id of the run at each tracker, so that a resumed run logs to the same place.
_RUN_IDS_FILE = "trackers.json"


class Tracker(Protocol):
    """An experiment tracker."""

    def log(self, report: Report) -> None:
        """Log a report; reports other than epochs may be ignored."""
        ...

    def close(self) -> None:
        """Send what has not been sent yet."""
        ...


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Check that trackers are installed.

    Raises:
        SettingsError: one is not; the message names the extra to install.
    """
    for name in names:
        if find_spec(_PACKAGES[name]) is None:
            raise SettingsError(f"--track {name} needs a package that is not installed; pip install 'alexnet[{name}]'")


@contextmanager
def open_trackers(
    names: Sequence[TrackerName], run: Path, settings: Mapping[str, Any], history: Sequence[EpochReport]
) -> Iterator["Trackers"]:
    """Open trackers for a run, and ``progress.svg``, and close them at its end.

    Args:
        names: names of the trackers.
        run: the run folder; trackers that write files write them there.
        settings: settings of the run, logged once.
        history: the epochs done; later epochs that a killed run has logged are deleted if the tracker supports it.

    Raises:
        RunError: a tracker cannot be opened, for example because its server does not respond.
    """
    check_trackers(names)
    with ExitStack() as opened:
        progress = ProgressFile(run, history)
        opened.callback(_close, progress)
        trackers: dict[str, Tracker] = {PROGRESS: progress}
        for name in names:
            try:
                trackers[name] = _OPEN[name](run, settings, len(history))
            except RunError:
                raise
            except Exception as error:  # trackers raise errors of many types
                raise RunError(f"--track {name} cannot be opened: {_first_line(error)}") from error
            opened.callback(_close, trackers[name])
        yield Trackers(trackers)


class Trackers:
    """Open trackers. One that fails is disabled, and training goes on."""

    def __init__(self, trackers: dict[str, Tracker]) -> None:
        self._trackers = trackers

    def log(self, report: Report) -> list[TrainingWarning]:
        """Log a report to all trackers; return warnings about those that fail."""
        failed = {}
        for name, tracker in self._trackers.items():
            try:
                tracker.log(report)
            except Exception as error:
                failed[name] = _first_line(error)
        self._trackers = {name: tracker for name, tracker in self._trackers.items() if name not in failed}
        return [
            TrainingWarning(f"{name} logging failed ({why}); disabled for this run") for name, why in failed.items()
        ]


def _close(tracker: Tracker) -> None:
    with suppress(Exception):  # training has ended, and the model is saved
        tracker.close()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _scalars(report: EpochReport) -> dict[str, float]:
    """Return the numbers of an epoch by name; the losses are in one group, so that they share a plot."""
    numbers = asdict(report)
    names = {"train_loss": "loss/train", "val_loss": "loss/val", "val_top1": "top1/val"}
    return {names.get(name, name): float(value) for name, value in numbers.items() if name != "epoch"}


class _TensorBoard:
    """Event files in ``RUN/tensorboard``, for ``tensorboard --logdir RUN``."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(run / "tensorboard", purge_step=n_epochs + 1 if n_epochs else None)
        text = json.dumps(dict(settings), indent=2, allow_nan=False)
        self._writer.add_text("settings", f"```\n{text}\n```")

    def log(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            for name, value in _scalars(report).items():
                self._writer.add_scalar(name, value, report.epoch)
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run in Weights & Biases, in the project ``alexnet`` or that of WANDB_PROJECT."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "alexnet"),
            name=run.name,
            id=_run_id(run, "wandb"),
            resume="allow",
            config=dict(settings),
            dir=run,
        )
        _save_run_id(run, "wandb", self._run.id)

    def log(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            self._run.log(_scalars(report), step=report.epoch)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """A run in MLflow, in the experiment ``alexnet`` or that of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        import mlflow

        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "alexnet"))
        before = _run_id(run, "mlflow")
        self._mlflow, self._run = mlflow, mlflow.start_run(run_id=before, run_name=None if before else run.name)
        if before is None:
            _save_run_id(run, "mlflow", self._run.info.run_id)
            chosen = {name: value for name, value in settings.items() if name != "resolved"}
            mlflow.log_params(chosen)

    def log(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            self._mlflow.log_metrics(_scalars(report), step=report.epoch)

    def close(self) -> None:
        self._mlflow.end_run()


_OPEN: dict[TrackerName, Any] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _MLflow}


def _run_ids(run: Path) -> dict[str, str]:
    file = run / _RUN_IDS_FILE
    if not file.exists():
        return {}
    try:
        found = parse_object(file.read_text(encoding="utf-8"))
        return {name: as_kind(str, run_id, name) for name, run_id in found.items()}
    except (OSError, ValueError) as error:
        raise RunError(f"{str(file)!r} is damaged ({error}); delete it to log to a new run") from error


def _run_id(run: Path, name: str) -> str | None:
    return _run_ids(run).get(name)


def _save_run_id(run: Path, name: str, run_id: str) -> None:
    write_atomically(run / _RUN_IDS_FILE, json.dumps({**_run_ids(run), name: run_id}) + "\n")
