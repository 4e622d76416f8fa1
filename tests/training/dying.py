"""The command line of ``small.py``, killed at a chosen moment.

python dying.py RANK EVENT N SECONDS train ... kills the process of that rank with SIGKILL at the N-th event of a kind
since it has held the run's folder, or some seconds later. Events, each just before it happens unless said otherwise:

take    a training step
append  after an epoch's line in metrics.jsonl
fsync   a file or a folder is synced, which is in the middle of writing a checkpoint or a model
rename  a folder that is complete gets its name
model   the same, of the model at the end
"""

import atexit
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet import cli
from alexnet.commands import training
from alexnet.network.value.variants import VARIANTS
from alexnet.training.learning.step import Step
from alexnet.training.run.run import Run

sys.path.insert(0, str(Path(__file__).parent))
from small import SMALL

EVENTS = ("take", "append", "fsync", "rename", "model")
RANK, EVENT, N, SECONDS = sys.argv[1:5]
happened: Counter[str] = Counter()
holds_folder = False


def say() -> None:
    print("events:", *(f"{event}={happened[event]}" for event in EVENTS))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def happens(event: str) -> None:
    global holds_folder
    holds_folder |= event == "clean_up"
    if event != "take" and not holds_folder:
        return
    happened[event] += 1
    if event == EVENT and happened[event] == int(N) and os.environ.get("RANK", "0") == RANK:
        if float(SECONDS):
            threading.Timer(float(SECONDS), die).start()
        else:
            die()


def noted(event: str, function: Callable[..., Any], *, before: bool = True) -> Callable[..., Any]:
    """Return the function, with a note before or after each call."""

    def call(*arguments: Any, **options: Any) -> Any:
        if before:
            happens("model" if event == "rename" and Path(arguments[1]).name == "model" else event)
        result = function(*arguments, **options)
        if not before:
            happens(event)
        return result

    return call


if __name__ == "__main__":
    Step.take = noted("take", Step.take)  # type: ignore[method-assign]
    Run.append = noted("append", Run.append, before=False)  # type: ignore[method-assign]
    Run.clean_up = noted("clean_up", Run.clean_up)  # type: ignore[method-assign]
    os.fsync = noted("fsync", os.fsync)
    os.rename = noted("rename", os.rename)
    VARIANTS["batchnorm"] = SMALL
    training._write_report = lambda folder: None
    atexit.register(say)  # where several processes train, the next line does not return
    try:
        cli.main(sys.argv[5:])
    finally:
        say()
