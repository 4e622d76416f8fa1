import importlib.machinery
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from alexnet import Settings
from alexnet.errors import RunError, SettingsError
from alexnet.training.learning.reports import EpochReport, StepReport, TrainingWarning
from alexnet.training.run import trackers
from alexnet.training.run.trackers import check_trackers, open_trackers
from alexnet.training.session import Session

CHOSEN = {"data": "photos", "epochs": 3, "lr": None, "resolved": {"image_size": 67}}
STEP = StepReport(epoch=1, step=1, n_steps=3, loss=1.0, images_per_second=9.0, progress=0.1, seconds_left=2.0)


def epoch(number: int) -> EpochReport:
    return EpochReport(
        epoch=number, train_loss=1.5 / number, val_loss=1.25 / number, val_top1=0.25 * number, lr=0.02, seconds=3.5,
        images_per_second=40.0, image_size=128,
    )  # fmt: skip


def track(name: str, run, *reports, n_epochs: int = 0) -> None:
    with open_trackers([name], run, CHOSEN, [epoch(number + 1) for number in range(n_epochs)]) as tracker:
        for report in reports:
            tracker.log(report)


SCALARS = {"loss/train", "loss/val", "top1/val", "lr", "seconds", "images_per_second", "image_size"}


def test_tensorboard_shows_the_epochs(tmp_path) -> None:
    """Read with tensorboard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path, STEP, epoch(1), TrainingWarning("slow"), STEP, epoch(2), epoch(3))

    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(shown.Tags()["scalars"]) == SCALARS
    val_losses = shown.Scalars("loss/val")
    assert [each.step for each in val_losses] == [1, 2, 3]
    assert [each.value for each in val_losses] == pytest.approx([1.25, 1.25 / 2, 1.25 / 3])
    assert [each.value for each in shown.Scalars("loss/train")] == pytest.approx([1.5, 1.5 / 2, 1.5 / 3])
    assert [each.value for each in shown.Scalars("top1/val")] == [0.25, 0.5, 0.75]
    assert [each.value for each in shown.Scalars("image_size")] == [128] * 3
    (text,) = shown.Tensors("settings/text_summary")
    assert b'"epochs": 3' in text.tensor_proto.string_val[0]


def test_tensorboard_shows_an_epoch_as_soon_as_it_is_done(tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_trackers(["tensorboard"], tmp_path, CHOSEN, []) as tracker:
        tracker.log(epoch(1))
        shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        assert [each.step for each in shown.Scalars("loss/val")] == [1]


def test_tensorboard_shows_an_epoch_that_was_done_again_once(tmp_path) -> None:
    """Killed after the second epoch was reported and before it was saved, a run does it again."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path, epoch(1), epoch(2))
    track("tensorboard", tmp_path, epoch(2), epoch(3), n_epochs=1)
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [each.step for each in shown.Scalars("loss/val")] == [1, 2, 3]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_says_which_extra(name, monkeypatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=rf"--track {name} needs .* pip install 'alexnet\[{name}\]'"):
        check_trackers([name])


def test_it_is_said_before_anything_is_read_or_written(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="--track wandb"):
        Session.start(tmp_path / "nowhere", tmp_path / "run", Settings(track=("wandb",)))
    assert not (tmp_path / "run").exists()


def test_an_unknown_tracker_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"):
        Settings(track=("tensorbord",))
    with pytest.raises(SettingsError, match="unknown tracker 'w&b'"):
        Settings(track=("tensorboard", "w&b"))


def test_without_trackers_only_the_progress_is_drawn(tmp_path) -> None:
    with open_trackers([], tmp_path, CHOSEN, []) as opened:
        assert opened.log(epoch(1)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["progress.svg"]


def stand_in(monkeypatch, name: str, **functions) -> None:
    """A module that is not installed here, as Python would find it."""
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def wandb(monkeypatch) -> list:
    """What is asked of Weights & Biases, in order."""
    calls = []

    def init(**options):
        calls.append(("init", options))
        return SimpleNamespace(
            id=options["id"] or "new-id",
            log=lambda numbers, step: calls.append(("log", step, numbers)),
            finish=lambda: calls.append(("finish",)),
        )

    stand_in(monkeypatch, "wandb", init=init)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return calls


@pytest.fixture
def mlflow(monkeypatch) -> list:
    """What is asked of MLflow, in order."""
    calls = []

    def start_run(run_id=None, run_name=None):
        calls.append(("start_run", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "new-run"))

    stand_in(
        monkeypatch,
        "mlflow",
        set_experiment=lambda name: calls.append(("set_experiment", name)),
        start_run=start_run,
        log_params=lambda params: calls.append(("log_params", params)),
        log_metrics=lambda numbers, step: calls.append(("log_metrics", step, numbers)),
        end_run=lambda: calls.append(("end_run",)),
    )
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return calls


def test_weights_and_biases_logs_the_run_and_each_epoch(wandb, tmp_path) -> None:
    run = tmp_path / "photos-2"
    run.mkdir()
    track("wandb", run, STEP, epoch(1), TrainingWarning("slow"), epoch(2))
    (_, options), *logged, last = wandb
    assert options["project"] == "alexnet"
    assert options["name"] == "photos-2"
    assert options["config"] == CHOSEN
    assert options["dir"] == run
    assert [(kind, step) for kind, step, _ in logged] == [("log", 1), ("log", 2)]
    assert set(logged[0][2]) == SCALARS
    assert logged[1][2]["loss/val"] == 1.25 / 2
    assert last == ("finish",)


def test_a_resumed_run_goes_on_in_the_same_place_of_weights_and_biases(wandb, tmp_path) -> None:
    track("wandb", tmp_path, epoch(1))
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "new-id"}
    track("wandb", tmp_path, epoch(2))
    first, second = (call[1] for call in wandb if call[0] == "init")
    assert (first["id"], first["resume"]) == (None, "allow")
    assert (second["id"], second["resume"]) == ("new-id", "allow")


def test_mlflow_logs_the_run_and_each_epoch(mlflow, tmp_path) -> None:
    run = tmp_path / "photos-2"
    run.mkdir()
    track("mlflow", run, STEP, epoch(1), TrainingWarning("slow"), epoch(2))
    assert mlflow[:3] == [
        ("set_experiment", "alexnet"),
        ("start_run", None, "photos-2"),
        ("log_params", {"data": "photos", "epochs": 3, "lr": None}),
    ]
    assert [(kind, step) for kind, step, _ in mlflow[3:5]] == [("log_metrics", 1), ("log_metrics", 2)]
    assert set(mlflow[3][2]) == SCALARS
    assert all(type(value) is float for value in mlflow[3][2].values())
    assert mlflow[5:] == [("end_run",)]


def test_a_resumed_run_goes_on_in_the_same_place_of_mlflow(mlflow, tmp_path) -> None:
    track("mlflow", tmp_path, epoch(1))
    mlflow.clear()
    track("mlflow", tmp_path, epoch(2))
    assert [call[0] for call in mlflow] == ["set_experiment", "start_run", "log_metrics", "end_run"]
    assert mlflow[1] == ("start_run", "new-run", None)


def test_projects_can_be_named_where_their_users_expect_it(wandb, mlflow, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "leaves")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "apples")
    with open_trackers(["wandb", "mlflow"], tmp_path, CHOSEN, []):
        pass
    assert wandb[0][1]["project"] == "leaves"
    assert mlflow[0] == ("set_experiment", "apples")
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"wandb": "new-id", "mlflow": "new-run"}


def test_what_was_opened_is_closed_when_another_cannot_be(mlflow, monkeypatch, tmp_path) -> None:
    def init(**options):
        raise ConnectionError("no network")

    stand_in(monkeypatch, "wandb", init=init)
    with (
        pytest.raises(RunError, match="--track wandb cannot be opened: no network"),
        open_trackers(["mlflow", "wandb"], tmp_path, CHOSEN, []),
    ):
        pass
    assert mlflow[-1] == ("end_run",)


def test_a_tracker_that_fails_is_disabled_with_a_warning(mlflow, monkeypatch, tmp_path) -> None:
    def log_metrics(numbers, step):
        raise ConnectionError("server gone\nmore of it")

    monkeypatch.setattr(sys.modules["mlflow"], "log_metrics", log_metrics)
    with open_trackers(["mlflow", "tensorboard"], tmp_path, CHOSEN, []) as opened:
        (warning,) = opened.log(epoch(1))
        assert warning.text == "mlflow logging failed (server gone); disabled for this run"
        assert opened.log(epoch(2)) == []
    assert mlflow[-1] == ("end_run",)
