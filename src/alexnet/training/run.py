"""The run folder: settings, splits, metrics, checkpoints and the model, each written whole or not at all.

RUN/settings.json     what was chosen and what followed from it
    splits.csv        which picture is in which split
    metrics.jsonl     a line an epoch
    checkpoint/       the newest checkpoints, tensors and JSON only
    model/            the trained network, once training has ended
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.data.source import Source
from alexnet.data.split import Identities, write_splits
from alexnet.errors import RunError
from alexnet.inference.artifact import save_tensors
from alexnet.training.loop import EpochReport, Position, Training
from alexnet.training.plan import Leg
from alexnet.whole import delete_unfinished, lock, whole_folder, write_whole

# The one before the newest is kept, in case the newest was written to a failing disk.
N_CHECKPOINTS = 2


class Run:
    """A run folder that exists. ``create`` makes one, ``Run(path)`` opens one.

    Raises:
        RunError: the folder is no run.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RunError(f"there is no run at {str(folder)!r}; give the folder that training made")
        if not (folder / "settings.json").exists():
            raise RunError(
                f"{str(folder)!r} is not a run folder: it has no settings.json; give the folder that training made"
            )
        self.folder = folder

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
            (unfinished / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        return cls(folder)

    @property
    def model_folder(self) -> Path:
        """Where the trained network is."""
        return self.folder / "model"

    @property
    def is_finished(self) -> bool:
        """Whether training has ended."""
        return (self.model_folder / "config.json").exists()

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
        return _read_json(self.folder / "settings.json")

    def append(self, report: EpochReport) -> None:
        """Add an epoch to ``metrics.jsonl``."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report)) + "\n")

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
        delete_unfinished(self.folder / "checkpoint")
        kept = [line for line in self.metrics() if line["epoch"] <= epoch]
        write_whole(self.folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def save_checkpoint(self, training: Training, seconds: float) -> None:
        """Save all that is needed to go on from here; ``seconds`` is the time the run has taken so far."""
        parent = self.folder / "checkpoint"
        position = training.position
        state = {"position": asdict(position), "seconds": seconds, "pace": asdict(training.plan.pace)}
        with whole_folder(parent / f"{position.epoch:06d}-{position.step:08d}") as unfinished:
            save_tensors(training.model.state_dict(), unfinished / "model.safetensors")
            save_tensors(_momentum(training.model, training.optimizer), unfinished / "optimizer.safetensors")
            (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for old in self._checkpoints()[:-N_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)

    def load_checkpoint(self, training: Training) -> float:
        """Put training where the newest checkpoint has it; return the seconds the run had taken.

        Without any checkpoint, training stays at its beginning.

        Raises:
            RunError: the checkpoint is damaged.
        """
        checkpoints = self._checkpoints()
        if not checkpoints:
            return 0.0
        newest = checkpoints[-1]
        try:
            state = _read_json(newest / "state.json")
            training.model.load_state_dict(load_file(newest / "model.safetensors"))
            _set_momentum(training.model, training.optimizer, load_file(newest / "optimizer.safetensors"))
            leg = state["position"]["leg"]
            training.position = Position(**{**state["position"], "leg": leg and Leg(**leg)})
            training.plan.pace.seconds = {int(size): each for size, each in state["pace"]["seconds"].items()}
            training.plan.pace.overhead = state["pace"]["overhead"]
            return float(state["seconds"])
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"the checkpoint {str(newest)!r} is damaged ({error}); delete it to go on from the one before"
            ) from error

    def _checkpoints(self) -> list[Path]:
        return sorted(path for path in (self.folder / "checkpoint").glob("[0-9]*-[0-9]*") if path.is_dir())


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


def _momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = {name: optimizer.state.get(parameter, {}) for name, parameter in model.named_parameters()}
    return {name: state["momentum_buffer"] for name, state in states.items() if "momentum_buffer" in state}


def _set_momentum(model: nn.Module, optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if name in saved:
            # The memory format must be the parameter's, or the fused step would read it in another order.
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(saved[name])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{str(path)!r} is not a JSON object")
    return content
