"""Runs that are killed without warning, again and again, end as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ..conftest import make_image_folder
from .machine.test_distributed import SMALL, launch, metrics

N_KILLS = 10
# 84 px for three fifths of the way, 104 px for another fifth and 144 px after that; averaged weights are on by default.
OPTIONS = ("--image-size", "144", "--epochs", "20", "--batch-size", "16", "--mixup", "0.2", "--trivial-augment", "on",
           "--balance", "sampler", "--checkpoint-minutes", "0.002", "--device", "cpu")  # fmt: skip


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    """Return the processes that a launcher has started, or the one process itself."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children] or [process.pid]


def run_and_kill(n: int, seconds: float, chooser: random.Random, *arguments: object) -> bool:
    """Start a training, let it train for a while, kill one of its processes; return whether there was one to kill."""
    start = [] if n == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n)]
    process = subprocess.Popen(
        [sys.executable, *start, SMALL, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "run folder" in line:
            break
    time.sleep(seconds)
    was_running = process.poll() is None
    if was_running:
        os.kill(chooser.choice(workers_of(process)), signal.SIGKILL)
    process.communicate()
    return was_running


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("n", [1, 2])
def test_killed_at_ten_random_moments_it_ends_the_same_to_the_bit(n, tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=19)
    launch(n, "train", image_folder, *OPTIONS, "--out", tmp_path / "whole")

    # Together they nearly always come to less than the run: machines differ too much for moments in seconds.
    latest = sum(line["seconds"] for line in metrics(tmp_path / "whole")) / 9
    chooser = random.Random()  # ten other moments each time; what they were is said if it fails
    moments = [chooser.uniform(0, latest) for _ in range(N_KILLS)]
    print("killed after", moments)
    arguments: tuple[object, ...] = (image_folder, *OPTIONS, "--out", tmp_path / "killed")
    for moment in moments:
        assert run_and_kill(n, moment, chooser, "train", *arguments), "it had ended before it could be killed"
        arguments = ("--resume", tmp_path / "killed")
    launch(n, "train", *arguments)

    assert [line["epoch"] for line in metrics(tmp_path / "killed")] == list(range(1, 21))
    whole, killed = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    losses = [[line["train_loss"] for line in metrics(tmp_path / run)] for run in ("whole", "killed")]
    assert losses[0] == losses[1]
    assert {line["image_size"] for line in metrics(tmp_path / "killed")} == {84, 104, 144}
