"""What the README promises of time and accuracy: too slow for every run, and run before a release."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import shared_data

ROOT = Path(__file__).parents[1]


def cpu_seconds(*arguments: str) -> float:
    """Return the processor time of a command, user and system, in seconds."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "alexnet", *arguments], check=True, capture_output=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


@pytest.mark.parametrize("arguments", [["--help"], ["summary", "--as", "mermaid"]])
def test_quick_commands_import_little(arguments) -> None:
    """Python alone has 33 modules, ``--help`` 332 and the drawing 382; torch would bring 1,500 more."""
    script = f"import sys; from alexnet.cli import run; run({arguments}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    modules = done.stderr.split()
    assert not {"torch", "numpy", "PIL", "torchvision", "sklearn"} & set(modules)
    assert len(modules) < 450


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "limit"), [(["--help"], 0.3), (["summary", "--as", "mermaid"], 0.5)])
def test_quick_commands_are_quick(arguments, limit) -> None:
    assert min(cpu_seconds(*arguments) for _ in range(5)) < limit


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_are_enough_for_real_images(tmp_path) -> None:
    data, run = str(shared_data("trashnet5")), str(tmp_path / "trash")
    began = time.monotonic()
    command = [sys.executable, "-m", "alexnet"]
    training = [*command, "train", data, "--out", run, "--time-limit", "10m"]
    said = subprocess.run(training, check=True, stderr=subprocess.PIPE, text=True).stderr
    report = re.search(r"^report: .*\.html \((\d+) s\)$", said, flags=re.MULTILINE)
    assert report is not None, said
    assert int(report[1]) < 60
    assert time.monotonic() - began - int(report[1]) < 660
    evaluated = [*command, "evaluate", run, data, "--split", "test", "--json"]
    scores = json.loads(subprocess.run(evaluated, check=True, capture_output=True, text=True).stdout)
    assert scores["n_images"] == 401, "one of the 402 is in train as well, and is left out"
    assert scores["top1"] >= 0.78
    assert scores["ece"] < scores["uncalibrated_ece"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_is_faster_than_the_usual_way() -> None:
    command = [sys.executable, "-m", "benchmarks.training", str(shared_data("trashnet5")), "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert float(done.stdout.split("ratio:")[1].split()[0]) >= 2.3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_data_are_faster_than_the_usual_way() -> None:
    command = [sys.executable, "-m", "benchmarks.data", str(shared_data("trashnet5"))]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    small, large, batches = (float(line.split("ratio ")[1].split()[0]) for line in done.stdout.splitlines()[1:4])
    assert small >= 1.5
    assert large >= 4
    assert batches >= 6
    assert float(done.stdout.split()[-1]) < 1.05


@pytest.mark.slow
def test_an_archive_of_60_000_images_is_learned_from_at_once(tmp_path) -> None:
    """A first batch within 90 seconds on two cores, and within 5 the second time."""
    script = f"""
from alexnet import Settings
from alexnet.training.session import Session
session = Session.start({str(shared_data("cifar10_jpeg.zip"))!r}, "run", Settings(epochs=1))
next(iter(session.reports()))
"""
    seconds = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        began = time.monotonic()
        environment = {**os.environ, "ALEXNET_CACHE": str(tmp_path / "cache")}
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path / turn, env=environment, check=True)
        seconds.append(time.monotonic() - began)
    print(seconds)
    assert seconds[0] < 90
    assert seconds[1] < 8, "5 to the first batch, and its step"
