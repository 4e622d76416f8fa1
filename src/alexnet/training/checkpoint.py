"""Checkpoints: where training stands, as tensors and JSON, each written whole or not at all."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.errors import RunError
from alexnet.inference.artifact import save_tensors
from alexnet.training.plan import Leg
from alexnet.training.state import Position, Training
from alexnet.whole import whole_folder

# The one before the newest is kept, in case the newest was written to a failing disk.
N_KEPT = 2
_BEST = "best-"


def save_checkpoint(parent: Path, training: Training, seconds: float) -> None:
    """Save all that is needed to go on from here, and delete the checkpoints before the last two.

    Where this position has been saved already, nothing is to be done.

    Args:
        parent: folder of checkpoints.
        training: what to save.
        seconds: the time the run has taken so far.
    """
    position = training.position
    folder = parent / f"{position.epoch:06d}-{position.step:08d}"
    if folder.exists():
        return
    state = {"position": asdict(position), "seconds": seconds, "pace": asdict(training.plan.pace)}
    with whole_folder(folder) as unfinished:
        save_tensors(training.model.state_dict(), unfinished / "model.safetensors")
        if training.average is not None:
            save_tensors(training.average.model.state_dict(), unfinished / "average.safetensors")
        save_tensors(_momentum(training.model, training.step.optimizer), unfinished / "optimizer.safetensors")
        (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for old in list_checkpoints(parent)[:-N_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(parent: Path, training: Training) -> float:
    """Put training where the newest checkpoint has it; return the seconds the run had taken.

    Without any checkpoint, training stays at its beginning.

    Raises:
        RunError: the checkpoint is damaged.
    """
    checkpoints = list_checkpoints(parent)
    if not checkpoints:
        return 0.0
    newest = checkpoints[-1]
    try:
        state = read_json(newest / "state.json")
        training.model.load_state_dict(load_file(newest / "model.safetensors"))
        if training.average is not None:
            training.average.model.load_state_dict(load_file(newest / "average.safetensors"))
        _set_momentum(training.model, training.step.optimizer, load_file(newest / "optimizer.safetensors"))
        leg = state["position"]["leg"]
        training.position = Position(**{**state["position"], "leg": leg and Leg(**leg)})
        training.plan.pace.seconds = {int(size): each for size, each in state["pace"]["seconds"].items()}
        training.plan.pace.overhead = state["pace"]["overhead"]
        return float(state["seconds"])
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"the checkpoint {str(newest)!r} is damaged ({error}); delete it to go on from the one before"
        ) from error


def save_best(parent: Path, epoch: int, weights: dict[str, Tensor]) -> None:
    """Keep the weights of the best epoch so far, and of the best before, which an earlier checkpoint may ask for."""
    with whole_folder(_best(parent, epoch)) as unfinished:
        save_tensors(weights, unfinished / "model.safetensors")
    for old in _list_best(parent)[:-N_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_best(parent: Path, epoch: int) -> dict[str, Tensor]:
    """Return the weights of the best epoch.

    Raises:
        RunError: they are missing or damaged.
    """
    folder = _best(parent, epoch)
    try:
        return load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise RunError(f"the best epoch's weights in {str(folder)!r} cannot be read: {error}") from error


def forget_best_after(parent: Path, epoch: int) -> None:
    """Delete the weights of best epochs beyond ``epoch``: a resumed run does those epochs again."""
    for folder in _list_best(parent):
        if folder > _best(parent, epoch):
            shutil.rmtree(folder, ignore_errors=True)


def _best(parent: Path, epoch: int) -> Path:
    return parent / f"{_BEST}{epoch:06d}"


def _list_best(parent: Path) -> list[Path]:
    return sorted(parent.glob(f"{_BEST}*"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run.

    Raises:
        RunError: it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{str(path)!r} is not a JSON object")
    return content


def list_checkpoints(parent: Path) -> list[Path]:
    """Return the checkpoints there are, oldest first."""
    return sorted(path for path in parent.glob("[0-9]*-[0-9]*") if path.is_dir())


def _momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = {name: optimizer.state.get(parameter, {}) for name, parameter in model.named_parameters()}
    return {name: state["momentum_buffer"] for name, state in states.items() if "momentum_buffer" in state}


def _set_momentum(model: nn.Module, optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if name in saved:
            # The memory format must be the parameter's, or the fused step would read it in another order.
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(saved[name])
