"""Checkpoints: the state of training as tensors and JSON, written atomically."""

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
from alexnet.training.plan import Plan, Timing

# Two checkpoints are kept, in case the newest is damaged.
N_KEPT = 2
_BEST = "best-"


@dataclass(frozen=True)
class _State:
    """The content of ``state.json``."""

    position: Position
    seconds: float
    pace: Timing


def save_checkpoint(parent: Path, training: Training, seconds: float) -> None:
    """Save a checkpoint, and delete all but the last two. Do nothing if this position has been saved already.

    Args:
        parent: folder of checkpoints.
        training: the training to save.
        seconds: time that the run has taken so far.
    """
    position = training.position
    folder = parent / f"{position.epoch:06d}-{position.step:08d}"
    if folder.exists():
        return
    state = asdict(_State(position, seconds, training.plan.timing))
    with atomic_folder(folder) as unfinished:
        save_tensors(training.model.state_dict(), unfinished / "model.safetensors")
        if training.average is not None:
            save_tensors(training.average.model.state_dict(), unfinished / "average.safetensors")
        save_tensors(_momentum(training.model, training.step.optimizer), unfinished / "optimizer.safetensors")
        (unfinished / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for old in list_checkpoints(parent)[:-N_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(parent: Path, training: Training) -> float:
    """Load the newest checkpoint, if there is one; return the seconds that the run had taken.

    Raises:
        RunError: the checkpoint is damaged.
    """
    checkpoints = list_checkpoints(parent)
    if not checkpoints:
        return 0.0
    newest = checkpoints[-1]
    try:
        state = dataclass_from_json(_State, read_json(newest / "state.json"))
        _check_state(state, training.plan)
        training.model.load_state_dict(load_file(newest / "model.safetensors"))
        if training.average is not None:
            training.average.model.load_state_dict(load_file(newest / "average.safetensors"))
        _set_momentum(training.model, training.step.optimizer, load_file(newest / "optimizer.safetensors"))
        training.position, training.plan.timing = state.position, state.pace
        return state.seconds
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, RunError) as error:
        why = textwrap.shorten(str(error), MOST_CHARACTERS, placeholder=" ...")
        then = "to resume from the previous one" if len(checkpoints) > 1 else "to start over: it is the only one"
        raise RunError(f"the checkpoint {str(newest)!r} is damaged ({why}); delete it {then}") from error


def _check_state(state: _State, plan: Plan) -> None:
    """Check that the numbers of a checkpoint are possible.

    Raises:
        ValueError: one is not.
    """
    position, planned = state.position, state.position.leg
    amounts = {
        "seconds": (state.seconds, position.seconds, *state.pace.seconds.values(), state.pace.overhead),
        "lr": (position.lr,),
        "loss_sum": (position.loss_sum,),
    }
    possible = {name: all(math.isfinite(each) and each >= 0 for each in values) for name, values in amounts.items()}
    possible["pace"] = all(size >= 1 and seconds > 0 for size, seconds in state.pace.seconds.items())
    possible["pace"] &= plan.deadline is None or bool(state.pace.seconds)
    possible["epoch"] = 0 <= position.epoch <= plan.n_epochs
    # Rounding may put progress slightly above 1.
    possible["progress"] = 0 <= position.averaged <= position.progress + 1e-9 <= 1 + 2e-9
    possible["step"] = 0 <= position.step <= (planned.n_steps if planned else 0)
    # All three are divisors in reports, or all are 0.
    possible["n_seen"] = (position.n_seen > 0) == (position.seconds > 0) == (position.step > 0)
    if planned is not None:
        smallest, largest = plan.architecture.smallest_image_size, plan.architecture.image_size
        possible["leg"] = smallest <= planned.size <= largest and 1 <= planned.n_steps <= plan.n_steps
        possible["leg"] &= 0 <= planned.start <= planned.stop <= 1
    for name, is_possible in possible.items():
        if not is_possible:
            raise ValueError(f"impossible value of {name}")


def save_best(parent: Path, epoch: int, weights: dict[str, Tensor]) -> None:
    """Save the weights of the best epoch. The previous best is kept too: an older checkpoint may need it."""
    with atomic_folder(_best(parent, epoch)) as unfinished:
        save_tensors(weights, unfinished / "model.safetensors")
    for old in _list_best(parent)[:-N_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def load_best(parent: Path, epoch: int) -> dict[str, Tensor]:
    """Load the weights of the best epoch.

    Raises:
        RunError: they are missing or damaged.
    """
    folder = _best(parent, epoch)
    try:
        return load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise RunError(f"the best epoch's weights in {str(folder)!r} cannot be read: {error}") from error


def delete_best_after(parent: Path, epoch: int) -> None:
    """Delete the weights of best epochs after ``epoch``: a resumed run repeats those epochs."""
    for folder in _list_best(parent):
        if folder > _best(parent, epoch):
            shutil.rmtree(folder, ignore_errors=True)


def _best(parent: Path, epoch: int) -> Path:
    return parent / f"{_BEST}{epoch:06d}"


def _list_best(parent: Path) -> list[Path]:
    return sorted(parent.glob(f"{_BEST}*"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file of a run.

    Raises:
        RunError: the file cannot be read, or is not a JSON object.
    """
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {str(path)!r}: {error}") from error


def list_checkpoints(parent: Path) -> list[Path]:
    """Return the checkpoints, oldest first."""
    return sorted(path for path in parent.glob("[0-9]*-[0-9]*") if path.is_dir())


def _momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = {name: optimizer.state.get(parameter, {}) for name, parameter in model.named_parameters()}
    return {name: state["momentum_buffer"] for name, state in states.items() if "momentum_buffer" in state}


def _set_momentum(model: nn.Module, optimizer: torch.optim.Optimizer, saved: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if name in saved:
            # In the memory format of the parameter: the fused SGD step needs both to be the same.
            optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(saved[name])
