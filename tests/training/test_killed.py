"""Runs that are killed without warning, again and again, end as if nothing had happened."""

import json
import random
import re
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ..conftest import make_image_folder
from ..forked import start, start_group, wait_for
from .machine.test_distributed import TORCHRUN, metrics

DYING = Path(__file__).with_name("dying.py")
NEVER = (0, "take", 0, 0.0)
# 67 px for three fifths of the way, 99 px for another fifth and 131 px after that; averaged weights are on by default,
# and there is a checkpoint after every step.
OPTIONS = ("--variant", "batchnorm", "--image-size", "131", "--batch-size", "16", "--mixup", "0.2",
           "--trivial-augment", "on", "--balance", "sampler", "--checkpoint-minutes", "1e-9",
           "--device", "cpu")  # fmt: skip

# The rank that is killed, and when: see dying.py.
Kill = tuple[int, str, int, float]


def run(n: int, kill: Kill, *arguments: object, cwd: Path) -> dict[str, int]:
    """Train in ``n`` processes until one of them is killed, or to the end; return how often what has happened."""
    words = (DYING, *kill, *arguments)
    processes = [start(*words, cwd=cwd)] if n == 1 else start_group(n, *words, cwd=cwd)
    said = wait_for(processes)
    status = 0 if kill is NEVER else -signal.SIGKILL
    assert processes[kill[0]].returncode == status, (kill, said)
    events = re.findall(r"(\w+)=(\d+)", said[0][0])
    return {event: int(count) for event, count in events}


def assert_same_run(whole: Path, killed: Path, n_epochs: int) -> None:
    assert json.loads((killed / "settings.json").read_text())["resolved"]["recipe"]["optimizer"] == "muon"
    assert [line["epoch"] for line in metrics(killed)] == list(range(1, n_epochs + 1))
    weights, same = (load_file(run / "model" / "model.safetensors") for run in (whole, killed))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    losses = [[line["train_loss"] for line in metrics(run)] for run in (whole, killed)]
    assert losses[0] == losses[1]
    assert {line["image_size"] for line in metrics(killed)} == {67, 99, 131}


@pytest.mark.parametrize(
    ("n", "kills"),
    [
        (
            1,
            [
                (0, "take", 2, 0.0),  # in the middle of the first epoch
                (0, "fsync", 2, 0.0),  # half of a checkpoint is written
                (0, "append", 1, 0.0),  # an epoch is written down, and has no checkpoint yet
                (0, "rename", 4, 0.0),  # a checkpoint is complete, and has no name yet
                (0, "take", 8, 0.0),  # at another size
                (0, "fsync", 15, 0.0),
                (0, "model", 1, 0.0),  # all is done but the model's name
            ],
        ),
        (2, [(1, "take", 3, 0.0), (0, "fsync", 2, 0.0), (0, "append", 1, 0.0), (0, "model", 1, 0.0)]),
    ],
)
def test_killed_where_it_hurts_it_ends_the_same_to_the_bit(n, kills, tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=19)
    arguments: tuple[object, ...] = ("train", image_folder, *OPTIONS, "--epochs", "5")
    run(n, NEVER, *arguments, "--out", tmp_path / "whole", cwd=tmp_path)

    arguments = (*arguments, "--out", tmp_path / "killed")
    for kill in kills:
        run(n, kill, *arguments, cwd=tmp_path)
        arguments = ("train", "--resume", tmp_path / "killed")
    run(n, NEVER, *arguments, cwd=tmp_path)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", 5)


@pytest.mark.soak
@pytest.mark.parametrize("n", [1, 2])
def test_killed_at_five_random_moments_it_ends_the_same_to_the_bit(n, tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=19)
    arguments: tuple[object, ...] = ("train", image_folder, *OPTIONS, "--epochs", "10")
    happened = run(n, NEVER, *arguments, "--out", tmp_path / "whole", cwd=tmp_path)

    arguments = (*arguments, "--out", tmp_path / "killed")
    chooser = random.Random()  # five other moments each time; what they were is said if it fails
    for number in range(5):
        event = chooser.choice(["take", "append", "fsync", "rename"])
        # Five of them come to less than the run.
        last = happened[event] // 6
        rank = chooser.randrange(n) if event == "take" else 0
        kill = (rank, event, chooser.randint(1, last), chooser.choice([0.0, chooser.uniform(0, 0.05)]))
        print("killed at", kill)
        if n == 2 and number == 0:
            run_with_torchrun(kill, *arguments)
        else:
            run(n, kill, *arguments, cwd=tmp_path)
        arguments = ("train", "--resume", tmp_path / "killed")
    run(n, NEVER, *arguments, cwd=tmp_path)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", 10)


def run_with_torchrun(kill: Kill, *arguments: object) -> None:
    """Train in two processes that torchrun starts; it ends the other one where one is killed."""
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", DYING, *kill, *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SIGKILL" in done.stderr
