import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import Settings
from alexnet.errors import RunError
from alexnet.training import trials
from alexnet.training.choices.recipes import MODERN
from alexnet.training.machine import runtime
from alexnet.training.machine.runtime import Runtime, detect
from alexnet.training.plan import Plan
from alexnet.training.session import Session
from alexnet.training.trials import choose_threads, fastest, thread_counts

from .small import SMALL

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
NET = replace(SMALL, n_classes=2, image_size=67)


@pytest.fixture
def two_threads(monkeypatch):
    """A process that may use two threads and whose user has not said how many to use."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(runtime, "n_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def plan() -> Plan:
    return Plan(recipe=MODERN, architecture=NET, n_examples=64, n_epochs=1)


def pretend(monkeypatch, seconds: dict[int, float]) -> list[int]:
    """Let a step take this long with each number of threads, but the first two much longer; return those tried."""
    tried: list[int] = []

    def take_step() -> float:
        tried.append(torch.get_num_threads())
        return seconds[tried[-1]] if len(tried) > len(seconds) else 100.0 / len(tried)

    monkeypatch.setattr(trials, "_trial", lambda *_: take_step)
    monkeypatch.setattr(trials, "TRIAL_SECONDS", 0.01)
    return tried


@pytest.mark.parametrize(
    ("seconds", "n_threads"),
    [
        ({1: 1.0, 2: 0.55}, 2),
        ({1: 1.0, 2: 1.0}, 2),  # another process has the second core now, and may end soon
        ({1: 1.0, 2: 3.0}, 1),
        ({1: 8.0, 2: 4.1, 4: 2.2, 8: 1.3, 16: 1.35, 32: 4.0}, 16),
        ({1: 1.0}, 1),
    ],
)
def test_the_fastest_number_of_threads_is_chosen_and_more_in_a_tie(seconds, n_threads) -> None:
    assert fastest(seconds) == n_threads
    assert fastest(dict(reversed(seconds.items()))) == n_threads


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (5, [1, 2, 4, 5])]
)
def test_few_numbers_of_threads_are_tried(most, counts) -> None:
    assert thread_counts(most) == counts
    assert len(thread_counts(192)) == 9


@pytest.mark.parametrize(("seconds", "n_threads"), [({1: 1.0, 2: 0.6}, 2), ({1: 1.0, 2: 3.0}, 1)])
def test_threads_are_measured_in_turns_and_warm(monkeypatch, two_threads, seconds, n_threads) -> None:
    tried = pretend(monkeypatch, seconds)
    assert choose_threads(plan(), Runtime(CPU, "fp32"), 1).n_threads == n_threads
    assert tried[:6] == [1, 2, 1, 2, 1, 2]
    assert torch.get_num_threads() == 2, "the caller's number is restored"


def test_real_steps_are_measured(two_threads) -> None:
    chosen = choose_threads(plan(), Runtime(CPU, "fp32"), 2)
    assert chosen.n_threads in (1, 2)
    assert chosen == Runtime(CPU, "fp32", chosen.n_threads)


@pytest.mark.parametrize("given", [Runtime(CPU, "fp32", 1), Runtime(torch.device("cuda:0"), "bf16")])
def test_what_is_known_or_does_not_matter_is_not_measured(monkeypatch, two_threads, given) -> None:
    tried = pretend(monkeypatch, {1: 1.0, 2: 0.6})
    assert choose_threads(plan(), given, 1) == given
    assert not tried


def test_several_processes_share_the_cores_without_measuring(monkeypatch, two_threads) -> None:
    tried = pretend(monkeypatch, {1: 1.0, 2: 0.6})
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert choose_threads(plan(), detect("cpu", resumed=Runtime(CPU, "fp32", 2)), 1).n_threads is None
    assert not tried


def test_one_core_is_one_thread(monkeypatch, two_threads) -> None:
    tried = pretend(monkeypatch, {1: 1.0})
    torch.set_num_threads(1)
    assert choose_threads(plan(), Runtime(CPU, "fp32"), 1).n_threads == 1
    assert not tried


def test_the_number_is_recorded_and_a_resumed_run_keeps_it(monkeypatch, two_threads, image_folder, tmp_path) -> None:
    """A new measurement could choose another one, and the last bits of the weights would differ."""
    tried = pretend(monkeypatch, {1: 1.0, 2: 3.0})
    small = Settings(epochs=2, image_size=67, batch_size=64, width=0.125, hidden=(64, 64), device="cpu")
    session = Session.start(image_folder, tmp_path / "run", small)
    assert tried
    assert torch.get_num_threads() == 2, "outside of training the caller's number counts"
    reports = session.reports()
    next(reports)
    assert torch.get_num_threads() == 1
    session.save()
    reports.close()
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["resolved"]["n_threads"] == 1

    pretend(monkeypatch, {1: 3.0, 2: 1.0})
    resumed = Session.resume(tmp_path / "run")
    assert resumed.training.runtime.n_threads == 1
    seen = {torch.get_num_threads() for _ in resumed.reports()}
    assert seen == {1}
    assert torch.get_num_threads() == 2
    assert json.loads((resumed.run.model_folder / "config.json").read_text())["provenance"]["n_threads"] == 1


def test_a_run_from_before_threads_were_recorded_can_be_resumed(image_folder, tmp_path) -> None:
    small = Settings(epochs=1, image_size=67, batch_size=64, width=0.125, hidden=(64, 64), device="cpu")
    run = Session.start(image_folder, tmp_path / "run", small).run
    saved = run.settings()
    assert saved["resolved"].pop("n_threads") == torch.get_num_threads(), "OMP_NUM_THREADS is set for all tests"
    (run.folder / "settings.json").write_text(json.dumps(saved))
    assert Session.resume(run.folder).training.runtime.n_threads == torch.get_num_threads()
    saved["resolved"]["n_threads"] = 0
    (run.folder / "settings.json").write_text(json.dumps(saved))
    with pytest.raises(RunError, match="n_threads is 0; it must be a whole number, at least 1"):
        Session.resume(run.folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_waiting_passively_several_threads_are_not_much_slower_than_one_on_a_busy_machine() -> None:
    command = [sys.executable, "-m", "benchmarks.busy", "--turns", "3"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("1 busy")]
    ratios = {name.partition(":")[0]: float(ratio) for name, ratio in lines}
    assert len(ratios) == 6
    for work in ("small", "batchnorm", "predict"):
        assert ratios[f"1 busy, {work}, passive"] > max(0.6, ratios[f"1 busy, {work}, active"])
