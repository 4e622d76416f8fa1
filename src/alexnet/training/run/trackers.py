"""Where epochs are reported to, beside ``metrics.jsonl``: each tracker consumes the reports of ``fit_steps``."""

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

# What must be importable for each, and the extra that brings it.
_PACKAGES: dict[TrackerName, str] = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
# Under which a tracker's own name of the run is kept, so that a resumed run goes on in the same place.
_IDENTITIES = "trackers.json"


class Tracker(Protocol):
    """Something that is told how training goes."""

    def note(self, report: Report) -> None:
        """Take in a report; those that say nothing to it are left alone."""
        ...

    def close(self) -> None:
        """Hand over what has not been handed over yet."""
        ...


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse trackers that are not installed, before anything is read.

    Raises:
        SettingsError: one is not, and which extra to install.
    """
    for name in names:
        if find_spec(_PACKAGES[name]) is None:
            raise SettingsError(f"--track {name} needs a package that is not here; pip install 'alexnet[{name}]'")


@contextmanager
def open_trackers(
    names: Sequence[TrackerName], run: Path, settings: Mapping[str, Any], n_epochs: int
) -> Iterator["Trackers"]:
    """Open trackers for a run, and close them when it ends or breaks off.

    Args:
        names: which ones.
        run: the run folder; a tracker that writes files writes them there.
        settings: what was chosen for the run, reported once.
        n_epochs: epochs done; what a killed run has reported beyond them is taken back, where that can be.

    Raises:
        RunError: one cannot be opened, for instance since its server does not answer.
    """
    check_trackers(names)
    with ExitStack() as opened:
        trackers: dict[str, Tracker] = {}
        for name in names:
            try:
                trackers[name] = _OPEN[name](run, settings, n_epochs)
            except RunError:
                raise
            except Exception as error:  # of many kinds, a server's and a network's among them
                raise RunError(f"--track {name} cannot be opened: {_first_line(error)}") from error
            opened.callback(_close, trackers[name])
        yield Trackers(trackers)


class Trackers:
    """Trackers that are open. One that fails is left out from then on: no training is lost for want of a report."""

    def __init__(self, trackers: dict[str, Tracker]) -> None:
        self._trackers = trackers

    def note(self, report: Report) -> list[TrainingWarning]:
        """Tell all of them; return what to say of those that fail."""
        failed = {}
        for name, tracker in self._trackers.items():
            try:
                tracker.note(report)
            except Exception as error:
                failed[name] = _first_line(error)
        self._trackers = {name: tracker for name, tracker in self._trackers.items() if name not in failed}
        return [
            TrainingWarning(f"{name} fails ({why}) and is told no more; metrics.jsonl is")
            for name, why in failed.items()
        ]


def _close(tracker: Tracker) -> None:
    with suppress(Exception):  # the model has been written by now
        tracker.close()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _scalars(report: EpochReport) -> dict[str, float]:
    """Return an epoch as numbers by name; losses in one group, so that they share a plot."""
    numbers = asdict(report)
    names = {"train_loss": "loss/train", "val_loss": "loss/val", "val_top1": "top1/val"}
    return {names.get(name, name): float(value) for name, value in numbers.items() if name != "epoch"}


class _TensorBoard:
    """Event files in ``RUN/tensorboard``; look at them with ``tensorboard --logdir RUN``."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(run / "tensorboard", purge_step=n_epochs + 1 if n_epochs else None)
        text = json.dumps(dict(settings), indent=2, allow_nan=False)
        self._writer.add_text("settings", f"```\n{text}\n```")

    def note(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            for name, value in _scalars(report).items():
                self._writer.add_scalar(name, value, report.epoch)
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of Weights & Biases, in the project ``alexnet`` unless WANDB_PROJECT names another."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "alexnet"),
            name=run.name,
            id=_identity(run, "wandb"),
            resume="allow",
            config=dict(settings),
            dir=run,
        )
        _keep_identity(run, "wandb", self._run.id)

    def note(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            self._run.log(_scalars(report), step=report.epoch)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """A run of MLflow, in the experiment ``alexnet`` unless MLFLOW_EXPERIMENT_NAME names another."""

    def __init__(self, run: Path, settings: Mapping[str, Any], n_epochs: int) -> None:
        import mlflow

        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "alexnet"))
        before = _identity(run, "mlflow")
        self._mlflow, self._run = mlflow, mlflow.start_run(run_id=before, run_name=None if before else run.name)
        if before is None:
            _keep_identity(run, "mlflow", self._run.info.run_id)
            chosen = {name: value for name, value in settings.items() if name != "resolved"}
            mlflow.log_params(chosen)

    def note(self, report: Report) -> None:
        if isinstance(report, EpochReport):
            self._mlflow.log_metrics(_scalars(report), step=report.epoch)

    def close(self) -> None:
        self._mlflow.end_run()


_OPEN: dict[TrackerName, Any] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "mlflow": _MLflow}


def _identities(run: Path) -> dict[str, str]:
    file = run / _IDENTITIES
    if not file.exists():
        return {}
    try:
        found = parse_object(file.read_text(encoding="utf-8"))
        return {name: as_kind(str, identity, name) for name, identity in found.items()}
    except (OSError, ValueError) as error:
        raise RunError(f"{str(file)!r} is damaged ({error}); delete it to report to a new place") from error


def _identity(run: Path, name: str) -> str | None:
    return _identities(run).get(name)


def _keep_identity(run: Path, name: str, identity: str) -> None:
    write_atomically(run / _IDENTITIES, json.dumps({**_identities(run), name: identity}) + "\n")
