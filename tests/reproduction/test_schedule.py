from dataclasses import replace

import pytest

from alexnet.errors import RunError
from alexnet.reproduction.plan.value import VAL_ERROR, Choice, Figure
from alexnet.reproduction.running import trial
from alexnet.reproduction.running.results import OutOfTimeError, Results
from alexnet.reproduction.running.schedule import Schedule

from .made_up import experiment, run


def schedule(folder, lines: list[str] | None = None, scale="smoke") -> Schedule:
    return Schedule(results=Results(folder, scale), data=None, say=[].append if lines is None else lines.append)


def test_what_is_stored_is_not_computed_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trial, "run_arm", lambda arm, seed, folder, deadline: run())
    assert schedule(tmp_path).run([experiment()]) == 4
    assert schedule(tmp_path).run([experiment()]) == 0
    (tmp_path / "smoke" / "made-up" / "with-1.json").unlink()
    assert schedule(tmp_path).run([experiment()]) == 1


def test_what_was_done_before_a_stop_is_kept(tmp_path, monkeypatch) -> None:
    done = []

    def stopped(arm, seed, folder, deadline):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append((arm.name, seed))
        return run()

    monkeypatch.setattr(trial, "run_arm", stopped)
    with pytest.raises(KeyboardInterrupt):
        schedule(tmp_path).run([experiment()])
    assert done == [("with", 0), ("without", 0)]  # all arms with one seed before the next seed
    assert len(list(tmp_path.rglob("*.json"))) == 2
    done.clear()
    assert schedule(tmp_path).run([experiment()]) == 2
    assert done == [("with", 1), ("without", 1)]


def test_a_run_that_fails_is_stored_and_said_and_the_others_go_on(tmp_path, monkeypatch) -> None:
    def fails(training, arm, deadline):
        raise RunError("the loss is nan")

    monkeypatch.setattr(trial, "train", fails)
    lines: list[str] = []
    assert schedule(tmp_path, lines).run([experiment()]) == 4
    assert "made-up with, seed 0: the loss is nan" in lines
    stored = Results(tmp_path, "smoke").read("made-up", "with", 0)
    assert stored is not None
    assert (stored["failed"], stored["figures"], stored["n_train"]) == ("the loss is nan", {}, 24)
    assert schedule(tmp_path).run([experiment()]) == 0


def test_a_run_that_has_no_time_left_is_not_stored(tmp_path, monkeypatch) -> None:
    def late(arm, seed, folder, deadline):
        raise OutOfTimeError("the time is over after epoch 1")

    monkeypatch.setattr(trial, "run_arm", late)
    lines: list[str] = []
    assert schedule(tmp_path, lines).run([experiment()]) == 0
    assert "made-up with, seed 0: not stored: the time is over after epoch 1" in lines
    assert not list(tmp_path.rglob("*.json"))


def test_on_a_gpu_an_experiment_ends_at_its_share(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trial, "run_arm", lambda arm, seed, folder, deadline: run())
    lines: list[str] = []
    no_time = experiment(seconds={"smoke": -1.0, "cpu": -1.0, "gpu": -1.0})
    assert schedule(tmp_path, lines, "gpu").run([no_time]) == 0
    assert "made-up with, seed 0: left out, the time is over" in lines
    assert schedule(tmp_path, lines, "cpu").run([no_time]) == 4


def test_each_arm_chooses_what_is_best_for_itself(tmp_path, monkeypatch) -> None:
    epochs_to_level = {("with", 0.1): 3, ("with", 0.2): 2, ("without", 0.1): 2, ("without", 0.2): 4}
    asked = []

    def learns(arm, seed, folder, deadline):
        name, lr, most = arm.name.partition("-")[0], arm.training["lr"], arm.training["epochs"]
        asked.append((name, seed, lr, most))
        reached = epochs_to_level[name, lr]
        points = [{"epoch": each, "train_error": 0.2 if each >= reached else 0.9} for each in range(1, most + 1)]
        return run(curve=points) | {"settings": arm.to_json()}

    monkeypatch.setattr(trial, "run_arm", learns)
    by = Figure(name="train_error", level=0.25)
    choice = Choice(setting="lr", values=(0.1, 0.2), arms=("with", "without"), by=by, seed=100)
    one = experiment(choice=choice)
    arms = tuple(replace(each, training={**each.training, "epochs": 5}) for each in one.arms["smoke"])
    one = experiment(choice=choice, arms={"smoke": arms}, seeds={"smoke": (0,)})
    assert schedule(tmp_path).run([one]) == 6
    # The second rate has as many epochs as the first one needed.
    assert [each for each in asked if each[1] == 100] == [
        ("with", 100, 0.1, 5), ("without", 100, 0.1, 5), ("with", 100, 0.2, 3), ("without", 100, 0.2, 2),
    ]  # fmt: skip
    assert [each for each in asked if each[1] == 0] == [("with", 0, 0.2, 5), ("without", 0, 0.1, 5)]
    assert schedule(tmp_path).run([one]) == 0


def test_what_is_chosen_by_an_error_has_all_its_epochs(tmp_path, monkeypatch) -> None:
    val_error = {("with", 0.1): 0.3, ("with", 0.2): 0.2, ("without", 0.1): 0.2, ("without", 0.2): 0.4}

    def learns(arm, seed, folder, deadline):
        assert arm.training["epochs"] == 1
        error = val_error[arm.name.partition("-")[0], arm.training["lr"]]
        return run(val_error=error) | {"settings": arm.to_json()}

    monkeypatch.setattr(trial, "run_arm", learns)
    choice = Choice(setting="lr", values=(0.1, 0.2), arms=("with", "without"), by=VAL_ERROR, seed=100)
    lines: list[str] = []
    assert schedule(tmp_path, lines).run([experiment(choice=choice)]) == 8
    assert "made-up with: lr 0.2, of (0.1, 0.2)" in lines
    assert "made-up without: lr 0.1, of (0.1, 0.2)" in lines


def test_where_there_is_no_time_nothing_is_chosen(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(trial, "run_arm", lambda arm, seed, folder, deadline: run())
    choice = Choice(setting="lr", values=(0.1, 0.2), arms=("with",), by=VAL_ERROR, scales=("cpu",))
    assert schedule(tmp_path).run([experiment(choice=choice)]) == 4
    assert not list(tmp_path.rglob("*-lr-*"))
