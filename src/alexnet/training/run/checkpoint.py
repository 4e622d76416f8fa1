"""Checkpoints: where training stands, as tensors and JSON, each written whole or not at all."""

import json
import math
import shutil
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.errors import MOST_CHARACTERS, RunError
from alexnet.files.atomic import atomic_folder
from alexnet.files.typed_json import dataclass_from_json, parse_object
from alexnet.model.artifact import save_tensors
from alexnet.training.learning.state import Position, Training
from alexnet.training.plan import Pace, Plan

# The one before the newest is kept, in case the newest was written to a failing disk.
N_KEPT = 2
_BEST = "best-"


@dataclass(frozen=True)
class _State:
    """What ``state.json`` holds."""

    position: Position
    seconds: float
    pace: Pace


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
    state = asdict(_State(position, seconds, training.plan.pace))
    with atomic_folder(folder) as unfinished:
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
        state = dataclass_from_json(_State, read_json(newest / "state.json"))
        _refuse_impossible(state, training.plan)
        training.model.load_state_dict(load_file(newest / "model.safetensors"))
        if training.average is not None:
            training.average.model.load_state_dict(load_file(newest / "average.safetensors"))
        _set_momentum(training.model, training.step.optimizer, load_file(newest / "optimizer.safetensors"))
        training.position, training.plan.pace = state.position, state.pace
        return state.seconds
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, RunError) as error:
        why = textwrap.shorten(str(error), MOST_CHARACTERS, placeholder=" ...")
        then = "to go on from the one before" if len(checkpoints) > 1 else "to begin anew: it is the only one"
        raise RunError(f"the checkpoint {str(newest)!r} is damaged ({why}); delete it {then}") from error


def _refuse_impossible(state: _State, plan: Plan) -> None:
    """Refuse numbers of the right kind that no training comes to.

    Raises:
        ValueError: there is one.
    """
    position, leg = state.position, state.position.leg
    amounts = {
        "seconds": (state.seconds, position.seconds, *state.pace.seconds.values(), state.pace.overhead),
        "lr": (position.lr,),
        "loss_sum": (position.loss_sum,),
    }
    possible = {name: all(math.isfinite(each) and each >= 0 for each in values) for name, values in amounts.items()}
    possible["pace"] = all(size >= 1 and seconds > 0 for size, seconds in state.pace.seconds.items())
    possible["pace"] &= plan.deadline is None or bool(state.pace.seconds)
    possible["epoch"] = 0 <= position.epoch <= plan.n_epochs
    # Sums of shares are a hair above what they come to.
    possible["progress"] = 0 <= position.averaged <= position.progress + 1e-9 <= 1 + 2e-9
    possible["step"] = 0 <= position.step <= (leg.n_steps if leg else 0)
    # Of the epoch that has begun, means are taken over what was seen.
    possible["n_seen"] = (position.n_seen > 0) == (position.seconds > 0) == (position.step > 0)
    if leg is not None:
        smallest, largest = plan.architecture.smallest_image_size, plan.architecture.image_size
        is_leg = smallest <= leg.size <= largest and 1 <= leg.n_steps <= plan.n_steps
        possible["leg"] = is_leg and 0 <= leg.start <= leg.stop <= 1
    for name, is_possible in possible.items():
        if not is_possible:
            raise ValueError(f"no training comes to its {name}")


def save_best(parent: Path, epoch: int, weights: dict[str, Tensor]) -> None:
    """Keep the weights of the best epoch so far, and of the best before, which an earlier checkpoint may ask for."""
    with atomic_folder(_best(parent, epoch)) as unfinished:
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
        return parse_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(path)!r}: {error}") from error


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
