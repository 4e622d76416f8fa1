import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from alexnet import Settings, evaluate, load, train
from alexnet.data.record import read_splits
from alexnet.data.store.store import store_size
from alexnet.errors import DataError, RunError, SettingsError
from alexnet.network.value.variants import VARIANTS
from alexnet.training import assembly
from alexnet.training.choices.recipes import RECIPES
from alexnet.training.learning.reports import EpochReport, TrainingWarning
from alexnet.training.run.run import Run
from alexnet.training.session import Session

from ..conftest import coloured_image, make_image_folder

QUICK = Settings(variant="batchnorm", epochs=2, image_size=67, batch_size=32)


@pytest.fixture(scope="module")
def whole(image_folder, tmp_path_factory) -> Run:
    """A run without a stop."""
    return train(image_folder, out=tmp_path_factory.mktemp("whole") / "run", settings=QUICK, verbose=False)


def test_a_run_folder_holds_what_is_promised(trained_run) -> None:
    names = {path.name for path in trained_run.iterdir()}
    assert names == {"settings.json", "metrics.jsonl", "progress.svg", "splits.csv", "checkpoint", "model"}
    assert {path.name for path in (trained_run / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    lines = [json.loads(line) for line in (trained_run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    promised = {"epoch", "train_loss", "val_loss", "val_top1", "lr", "seconds", "images_per_second"}
    assert promised <= set(lines[0])
    saved = json.loads((trained_run / "settings.json").read_text())
    assert saved["image_size"] == saved["resolved"]["image_size"] == 67
    assert saved["resolved"]["recipe"]["batch_size"] == 16


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoint").iterdir())


def test_checkpoints_are_saved_by_time_and_at_the_end(trained_run) -> None:
    assert checkpoints(trained_run) == ["000006-00000000"], "six epochs take less than five minutes"


def test_only_the_newest_checkpoints_are_kept(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", replace(QUICK, checkpoint_minutes=1e-9))
    seen = [(report, checkpoints(tmp_path / "run")) for report in session.reports()]
    assert seen[-1][1] == ["000001-00000003", "000002-00000000"]
    after_first = next(names for report, names in seen if isinstance(report, EpochReport))
    assert after_first == ["000000-00000003", "000001-00000000"]


@pytest.mark.parametrize("n_reports", [2, 4, 5, 7])
def test_stopped_and_resumed_it_ends_the_same_to_the_bit(whole, image_folder, tmp_path, n_reports) -> None:
    session = Session.start(image_folder, tmp_path / "broken", QUICK)
    for number, _ in enumerate(session.reports(), start=1):
        if number == n_reports:
            break
    session.save()
    resumed = Session.resume(tmp_path / "broken")
    list(resumed.reports())
    expected = load_file(whole.model_folder / "model.safetensors")
    for name, tensor in load_file(tmp_path / "broken" / "model" / "model.safetensors").items():
        assert torch.equal(tensor, expected[name]), name
    assert [line["epoch"] for line in resumed.run.metrics()] == [1, 2]


def test_drawing_the_progress_changes_no_weight_and_what_cannot_be_drawn_stops_nothing(
    whole, image_folder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("alexnet.training.run.progress.SECONDS_BETWEEN", 0.0)
    drawn = []
    for name in ("drawn", "blocked"):
        session = Session.start(image_folder, tmp_path / name, QUICK)
        if name == "blocked":
            (tmp_path / name / "progress.svg").mkdir()
        reports = list(session.reports())
        drawn.append((tmp_path / name / "progress.svg").is_file())
        weights = load_file(tmp_path / name / "model" / "model.safetensors")
        for key, tensor in load_file(whole.model_folder / "model.safetensors").items():
            assert torch.equal(tensor, weights[key]), key
    assert drawn == [True, False]
    (warning,) = (report.text for report in reports if isinstance(report, TrainingWarning))
    assert warning.startswith("progress.svg logging failed (")


def test_a_run_killed_before_its_first_checkpoint_begins_again(image_folder, tmp_path) -> None:
    Session.start(image_folder, tmp_path / "run", QUICK)
    list(Session.resume(tmp_path / "run").reports())
    assert load(tmp_path / "run").classes == ("blue", "green", "red")


def test_a_metrics_line_cut_short_is_dropped(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    next(report for report in session.reports() if isinstance(report, EpochReport))
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "train')
    list(Session.resume(tmp_path / "run").reports())
    assert [line["epoch"] for line in Run(tmp_path / "run").metrics()] == [1, 2]


def test_a_run_goes_on_in_its_own_precision(image_folder, tmp_path, monkeypatch) -> None:
    settings = replace(QUICK, precision="auto", device="cpu")
    monkeypatch.setattr("alexnet.training.machine.runtime._cpu_has_bf16", lambda: True)
    monkeypatch.setattr("alexnet.training.machine.runtime._cpu_prefers_bf16", lambda: True)
    session = Session.start(image_folder, tmp_path / "run", settings)
    next(session.reports())
    session.save()
    monkeypatch.setattr("alexnet.training.machine.runtime._cpu_prefers_bf16", lambda: False)
    assert Session.resume(tmp_path / "run").training.runtime.precision == "bf16"


def test_a_damaged_checkpoint_is_named(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    next(report for report in session.reports() if isinstance(report, EpochReport))
    session.save()
    (checkpoint,) = (tmp_path / "run" / "checkpoint").iterdir()
    (checkpoint / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match=r"checkpoint .* is damaged"):
        Session.resume(tmp_path / "run")


def test_a_run_is_never_overwritten(trained_run, image_folder) -> None:
    before = (trained_run / "settings.json").read_text()
    with pytest.raises(RunError, match="never overwritten"):
        Session.start(image_folder, trained_run, QUICK)
    assert (trained_run / "settings.json").read_text() == before


def test_other_peoples_files_are_never_overwritten(image_folder, tmp_path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="not an empty folder"):
        Session.start(image_folder, tmp_path, QUICK)


def appearing(monkeypatch, make) -> None:
    """Let something appear while the images are being prepared."""
    from alexnet.training import session

    def prepare_training(*arguments, **options):
        ready = assembly.prepare_training(*arguments, **options)
        make()
        return ready

    monkeypatch.setattr(session, "prepare_training", prepare_training)


def test_a_run_that_appears_meanwhile_is_never_replaced(image_folder, tmp_path, monkeypatch) -> None:
    def make() -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "settings.json").write_text("theirs")

    appearing(monkeypatch, make)
    with pytest.raises(RunError, match=r"run' was created by someone else meanwhile .* choose another --out"):
        Session.start(image_folder, tmp_path / "run", QUICK)
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "settings.json"]
    assert (tmp_path / "run" / "settings.json").read_text() == "theirs"


def test_of_two_runs_made_at_once_none_vanishes(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Session.start(image_folder, None, QUICK)
    first.save()
    # The second one has looked for a name before the first one was there.
    names = iter([Path("runs/photos"), Path("runs/photos-2")])
    monkeypatch.setattr("alexnet.training.run.out_folder._free_folder", lambda *_: next(names))
    second = Session.start(image_folder, None, QUICK)
    assert second.run.folder == Path("runs/photos-2")
    assert checkpoints(first.run.folder) == ["000000-00000000"]


def test_without_a_name_runs_are_numbered(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [Session.start(image_folder, None, QUICK).run.folder.as_posix() for _ in range(2)]
    assert folders == ["runs/photos", "runs/photos-2"]


def test_a_run_that_has_ended_is_not_resumed(trained_run) -> None:
    with pytest.raises(RunError, match="is finished"):
        Session.resume(trained_run)


def test_resuming_takes_no_other_settings(trained_run) -> None:
    with pytest.raises(SettingsError, match="leave out"):
        train(resume=trained_run, settings=QUICK)
    with pytest.raises(SettingsError, match="leave out"):
        train(resume=trained_run, out="elsewhere")


def test_resuming_from_python(image_folder, tmp_path) -> None:
    Session.start(image_folder, tmp_path / "run", QUICK)
    assert train(resume=tmp_path / "run", verbose=False).is_finished


def test_what_a_kill_left_half_written_is_deleted(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    session.save()
    left = tmp_path / "run" / "checkpoint" / ".unfinished-000001"
    left.mkdir()
    resumed = Session.resume(tmp_path / "run")
    assert left.exists(), "until the run is held, another process may be writing it"
    next(resumed.reports())
    assert not left.exists()


def test_a_place_that_cannot_be_written_to_is_said_first(image_folder, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is not writable"):
        Session.start(image_folder, tmp_path / "file" / "run", QUICK)


def test_large_images_come_from_a_large_store(image_folder) -> None:
    assert [store_size(size) for size in (None, 67, 224, 448)] == [256, 256, 256, 512]


def test_resuming_what_is_no_run(tmp_path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        Session.resume(tmp_path)
    with pytest.raises(RunError, match="no run at"):
        Session.resume(tmp_path / "nowhere")


def test_a_failed_start_leaves_nothing(tmp_path) -> None:
    with pytest.raises(DataError):
        Session.start(tmp_path / "nowhere", tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_a_time_limit_chooses_a_size_and_ends_the_run(image_folder, tmp_path) -> None:
    run = train(
        image_folder,
        out=tmp_path / "run",
        settings=Settings(variant="batchnorm", time_limit="6s", batch_size=32),
        verbose=False,
    )
    resolved = run.settings()["resolved"]
    assert resolved["image_size"] in (131, 99, 67), "60 px images are not blown up to 224 px"
    assert run.is_finished


def test_a_time_limit_that_preparing_uses_up_is_said(image_folder, tmp_path) -> None:
    settings = Settings(
        variant="batchnorm", time_limit="1s", image_size=67, batch_size=16
    )  # less than is kept back for saving
    session = Session.start(image_folder, tmp_path / "run", settings)
    begun = {name: tensor.clone() for name, tensor in session.training.model.state_dict().items()}
    reports = list(session.reports())
    assert str(reports[-1]).startswith("warning: the time limit ended training after 16 of 96 images:")
    kept = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert not torch.equal(kept["fc8.linear.weight"], begun["fc8.linear.weight"]), "its one step had a rate above 0"
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "1 epochs (0.17 passes over the images)" in card


def test_an_epoch_cut_short_is_logged_at_the_size_at_which_val_was_evaluated(image_folder, tmp_path) -> None:
    settings = Settings(variant="batchnorm", time_limit="1h", epochs=20, image_size=144, batch_size=16)
    session = Session.start(image_folder, tmp_path / "run", settings)
    reports = session.reports()
    assert next(reports).n_steps == 6, "a whole epoch"
    assert session.training.position.leg.size < 144
    session.training.plan.deadline = 0.0
    report = next(report for report in reports if isinstance(report, EpochReport))
    assert report.image_size == 144
    assert report.n_images == 32


def test_flipping_follows_the_data_unless_said(image_folder, tmp_path) -> None:
    assert Session.start(image_folder, tmp_path / "a", QUICK).training.plan.recipe.augmentation.flip
    assert not Session.start("digits", tmp_path / "b", QUICK).training.plan.recipe.augmentation.flip


def test_class_names_that_are_no_text_are_learned_too(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=6)
    (root / "red").rename(root / os.fsdecode(b"caf\xe9"))
    run = train(root, out=tmp_path / "run", settings=replace(QUICK, epochs=1), verbose=False)
    assert os.fsdecode(b"caf\xe9") in load(run.folder).classes
    assert "caf\\udce9" in (run.model_folder / "README.md").read_text()


def test_a_resumed_run_has_its_own_store_size_and_images(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=6)
    session = Session.start(root, tmp_path / "run", QUICK)
    next(iter(session.reports()))
    session.save()
    coloured_image("red", 7, (90, 90)).save(root / "red" / "larger.png")
    assert Session.resume(tmp_path / "run").store.size == session.store.size == 69
    coloured_image("red", 8).save(root / "red" / "photo 3.jpg")
    with pytest.raises(DataError, match=r"1 of 18 images .* have changed in .*'red/photo 3\.jpg'; put them back"):
        Session.resume(tmp_path / "run")


# A run that goes on is the run that was begun, whatever has happened around it


@pytest.fixture
def begun(tmp_path) -> Session:
    """A run with one epoch done, on images of its own that may be changed."""
    session = Session.start(
        make_image_folder(tmp_path / "photos", n_each=8), tmp_path / "run", replace(QUICK, batch_size=8)
    )
    next(report for report in session.reports() if isinstance(report, EpochReport))
    session.save()
    return session


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def test_classes_come_from_the_run(begun, tmp_path) -> None:
    """An empty class folder, made meanwhile, was said to be a damaged checkpoint."""
    (tmp_path / "photos" / "amber").mkdir()
    coloured_image("red", 99).save(tmp_path / "photos" / "red" / "new.png")
    resumed = Session.resume(tmp_path / "run")
    assert resumed.training.classes == ("blue", "green", "red")
    assert "left out 1 images that the run's splits.csv does not name: 'red/new.png'" in resumed.source.warnings
    list(resumed.reports())
    assert load(tmp_path / "run").classes == ("blue", "green", "red")


def test_labels_that_were_swapped_meanwhile_are_refused(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=8)
    rows = [f"{path},{path.parent.name}" for path in sorted(root.rglob("*.jpg"))]
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "\n".join(rows))
    Session.start(table, tmp_path / "run", QUICK)
    table.write_text("path,label\n" + "\n".join(rows).replace(",red", ",blue", 2))
    with pytest.raises(DataError, match=r"2 images have other labels .*: 'red' then, 'blue' now; put"):
        Session.resume(tmp_path / "run")


def test_the_whole_recipe_comes_from_the_run(begun, tmp_path, monkeypatch) -> None:
    """As with a newer version, whose recipe and network of that name are others."""
    before = begun.training.plan
    modern = RECIPES["modern"]
    augmentation = replace(modern.augmentation, aspect=2)
    other = replace(modern, epochs=3, momentum=0.5, ema=0.0, augmentation=augmentation)
    monkeypatch.setitem(RECIPES, "modern", other)
    monkeypatch.setitem(VARIANTS, "batchnorm", replace(VARIANTS["batchnorm"], hidden=(32,)))
    after = Session.resume(tmp_path / "run").training
    assert (after.plan.recipe, after.plan.architecture) == (before.recipe, before.architecture)
    assert after.plan.n_epochs == before.n_epochs
    assert after.average is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": {"momentums": 0.9}}, "recipe: unknown field 'momentums'; did you mean 'momentum'"),
        ({"recipe": None}, "recipe: None is not a JSON object"),
        ({"recipe": {"lr": "much"}}, "recipe: lr is 'much'; it must be a number"),
        ({"classes": ["a", "b"]}, "2 classes, but the network has 3"),
        ({"classes": None}, "classes is None; it must be a list"),
        ({"device": "abacus"}, "unknown device 'abacus'"),
        ({"precision": "int3"}, "unknown precision 'int3'"),
        ({"architecture": {"hiden": [3]}}, "did you mean 'hidden'"),
        ({"n_epochs": "many"}, "n_epochs is 'many'; it must be a whole number"),
    ],
)
def test_what_a_run_had_settled_on_is_checked(begun, tmp_path, change, words) -> None:
    file = tmp_path / "run" / "settings.json"
    saved = json.loads(file.read_text())
    for name, value in change.items():
        both = {**saved["resolved"][name], **value} if isinstance(value, dict) else value
        saved["resolved"][name] = both
    file.write_text(json.dumps(saved))
    with pytest.raises(RunError, match=rf"settings\.json' is damaged, or of another version .*{words}"):
        Session.resume(tmp_path / "run")


def test_a_run_goes_on_where_its_images_are_now(whole, image_folder, tmp_path) -> None:
    shutil.copytree(image_folder, tmp_path / "photos")
    session = Session.start(tmp_path / "photos", tmp_path / "run", QUICK)
    next(iter(session.reports()))
    session.save()
    (tmp_path / "photos").rename(tmp_path / "archive")
    words = r"are not at .*photos' any more; say where they are: alexnet train DATA --resume "
    with pytest.raises(DataError, match=words):
        Session.resume(tmp_path / "run")
    # In another order, too: names decide nothing.
    for path in sorted((tmp_path / "archive").rglob("*.jpg")):
        path.rename(path.with_name(path.name[::-1].replace("gpj.", "") + ".jpg"))
    run = train(tmp_path / "archive", resume=tmp_path / "run", verbose=False)
    weights, same = weights_of(whole.folder), weights_of(run.folder)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert run.settings()["data"] == str(tmp_path / "archive"), "the next time it knows"
    assert evaluate(run.folder).split == "test"


def test_a_run_does_not_go_on_with_other_images(begun, image_folder, tmp_path) -> None:
    other = make_image_folder(tmp_path / "other", n_each=8, first=500)
    with pytest.raises(DataError, match=r"24 of 24 images of the run .* are gone in .*other"):
        Session.resume(tmp_path / "run", other)


def test_the_folder_of_named_sets_is_kept_whole(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []

    def note(data, data_dir=None):
        seen.append(data_dir)
        raise DataError("enough")

    monkeypatch.setattr("alexnet.training.assembly.open_source", note)
    with pytest.raises(DataError, match="enough"):
        Session.start("cifar10", "run", replace(QUICK, data_dir="sets"))
    assert seen == [str(tmp_path / "sets")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks on files")
def test_a_run_is_trained_by_one_process_at_a_time(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    reports = session.reports()
    next(reports)
    session.save()
    with pytest.raises(RunError, match="is being trained by another process"):
        next(Session.resume(tmp_path / "run").reports())
    reports.close()
    next(Session.resume(tmp_path / "run").reports())


def test_out_of_patience_it_ends_and_keeps_the_best_epoch(image_folder, tmp_path, monkeypatch) -> None:
    """The loss on val is made to rise after the second epoch, so that the second is the best one."""
    evaluated = []

    def validate(training, size):
        evaluated.append({name: tensor.clone() for name, tensor in training.eval_model.state_dict().items()})
        loss = [0.9, 0.5, 0.8, 0.7, 0.6, 0.6][len(evaluated) - 1]
        return SimpleNamespace(loss=loss, top1=0.5)

    monkeypatch.setattr("alexnet.training.learning.loop.validate", validate)
    run = train(image_folder, out=tmp_path / "run", settings=replace(QUICK, epochs=9, patience=2), verbose=False)
    assert [line["epoch"] for line in run.metrics()] == [1, 2, 3, 4]
    kept = load_file(run.model_folder / "model.safetensors")
    assert all(torch.equal(kept[name], evaluated[1][name]) for name in kept)
    config = json.loads((run.model_folder / "config.json").read_text())
    assert config["provenance"]["epochs"] == 2
    assert config["provenance"]["val_loss"] == 0.5


def test_a_run_killed_before_its_end_by_patience_ends_the_same(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        "alexnet.training.learning.loop.validate", lambda training, size: SimpleNamespace(loss=0.5, top1=0.5)
    )
    settings = replace(QUICK, epochs=9, patience=1)
    session = Session.start(image_folder, tmp_path / "run", settings)
    for report in session.reports():
        if isinstance(report, EpochReport) and report.epoch == 2:
            break  # killed after the checkpoint, before the model was written
    session.save()
    resumed = Session.resume(tmp_path / "run")
    list(resumed.reports())
    assert [line["epoch"] for line in resumed.run.metrics()] == [1, 2]
    assert resumed.run.is_finished


def test_weights_to_begin_with_are_asked_for_once(trained_run, image_folder, tmp_path) -> None:
    shutil.copytree(trained_run / "model", tmp_path / "weights")
    settings = replace(QUICK, init=str(tmp_path / "weights"), init_take="fitting", freeze="conv2")
    whole = train(image_folder, out=tmp_path / "whole", settings=settings, verbose=False)
    session = Session.start(image_folder, tmp_path / "cut", settings)
    next(iter(session.reports()))
    shutil.rmtree(tmp_path / "weights")  # a checkpoint has what they were
    list(Session.resume(tmp_path / "cut").reports())
    weights, same = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    begun = load_file(trained_run / "model" / "model.safetensors")
    assert torch.equal(weights["conv2.conv.weight"], begun["conv2.conv.weight"])
    assert not torch.equal(weights["conv3.conv.weight"], begun["conv3.conv.weight"])
    assert whole.settings()["resolved"]["loaded"]


def test_what_the_weights_to_begin_with_had_seen_is_not_forgotten(trained_run, image_folder, tmp_path) -> None:
    """With another seed the images are split otherwise: what the first network learned from is in test now."""
    settings = replace(QUICK, init=str(trained_run), seed=1, init_take="fitting")
    session = Session.start(image_folder, tmp_path / "run", settings)
    warning = next(session.reports())
    assert re.match("warning: the weights of --init were trained on [0-9]+ images of val and test", str(warning))
    seen = {row.content for row in read_splits(trained_run / "splits.csv") if row.split != "test"}
    test = [row for row in read_splits(tmp_path / "run" / "splits.csv") if row.split == "test"]
    n_new = sum(row.content not in seen for row in test)
    assert 0 < n_new < len(test) == 12
    list(Session.resume(tmp_path / "run").reports())
    assert evaluate(tmp_path / "run").scores.n_images == n_new


@pytest.mark.parametrize("kind", ["checkpoint", "copy"])
def test_files_of_weights_say_what_they_have_seen_or_that_they_do_not(begun, tmp_path, kind) -> None:
    weights = tmp_path / "run" / "checkpoint" / begun.run.newest_checkpoint / "model.safetensors"
    if kind == "copy":
        weights = shutil.copy(weights, tmp_path / "weights.safetensors")
    settings = replace(QUICK, epochs=1, init=str(weights), seed=3)
    session = Session.start(tmp_path / "photos", tmp_path / "second", settings)
    first = str(next(session.reports()))
    list(Session.resume(tmp_path / "second").reports())
    evaluated = evaluate(tmp_path / "second")
    if kind == "copy":
        assert "weights.safetensors does not record its training images" in first
        assert any("began with (--init) does not say what it learned from" in warning for warning in evaluated.warnings)
    else:
        assert re.search("--init were trained on [0-9]+ images of val and test", first)
        assert any(warning.startswith("left out") for warning in evaluated.warnings)


def test_a_record_that_has_lost_lines_is_refused(begun, tmp_path) -> None:
    file = tmp_path / "run" / "splits.csv"
    rows = file.read_text().splitlines(keepends=True)
    lost = next(row for row in rows if ",train," in row)
    file.write_text("".join(row for row in rows if row != lost))
    with pytest.raises(RunError, match=r"splits\.csv' has 17 train images, but the run started with 18; restore"):
        Session.resume(tmp_path / "run")


def test_epochs_that_metrics_have_lost_are_named(begun, tmp_path) -> None:
    (tmp_path / "run" / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl' lacks 1 of 1 epochs; restore"):
        Session.resume(tmp_path / "run")


def test_the_only_checkpoint_is_not_deleted_to_go_on_from_the_one_before(begun, tmp_path) -> None:
    (tmp_path / "run" / "checkpoint" / begun.run.newest_checkpoint / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match="delete it to start over: it is the only one"):
        Session.resume(tmp_path / "run")


def test_who_comes_late_does_not_train_again_what_another_has_ended(begun, tmp_path) -> None:
    late = Session.resume(tmp_path / "run")
    list(Session.resume(tmp_path / "run").reports())
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    with pytest.raises(RunError, match=r"another process has continued the run .* meanwhile"):
        next(late.reports())
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == metrics


def test_what_stands_where_the_model_will_be_is_said_before(begun, tmp_path) -> None:
    (tmp_path / "run" / "model").mkdir()
    (tmp_path / "run" / "model" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="will write the model there; move it away"):
        Session.resume(tmp_path / "run")


@pytest.mark.parametrize("runs", ["a file", "a link to nowhere"])
def test_runs_that_is_no_folder_is_said_and_waited_for_by_nobody(image_folder, tmp_path, monkeypatch, runs) -> None:
    monkeypatch.chdir(tmp_path)
    if runs == "a file":
        (tmp_path / "runs").write_text("mine")
    else:
        (tmp_path / "runs").symlink_to("nowhere")
    with pytest.raises(RunError, match=r"'runs/photos' cannot be created, because .*runs' is not writable"):
        Session.start(image_folder, None, QUICK)


def test_links_are_followed_where_they_lead_somewhere(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    (tmp_path / "lost").symlink_to("nowhere")
    for out, words in (("lost", "exists and is not an empty folder"), ("lost/run", "cannot be created")):
        with pytest.raises(RunError, match=words):
            Session.start(image_folder, out, QUICK)
    assert Session.start(image_folder, "link", QUICK).run.folder == tmp_path / "disk"


def test_the_folder_one_stands_in_is_no_place_for_a_run(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="choose a new one"):
        Session.start(image_folder, ".", QUICK)


def test_a_resumed_run_keeps_its_batches_and_rate_on_another_machine(image_folder, tmp_path, monkeypatch) -> None:
    """Where they followed from the machine: steps are counted in these batches."""
    settings = replace(QUICK, batch_size=None)
    begun = Session.start(image_folder, tmp_path / "run", settings)
    next(iter(begun.reports()))
    begun.save()
    before = begun.training.plan.recipe

    def follow(recipe, n_examples, largest):
        return recipe.with_batch_size(7) if recipe.batch_follows else recipe

    monkeypatch.setattr("alexnet.training.assembly.Recipe.for_data", follow)
    after = Session.resume(tmp_path / "run")
    recipe = after.training.plan.recipe
    assert (recipe.batch_size, recipe.lr) == (before.batch_size, before.lr)
    assert after.settings == settings


def test_networks_of_other_seeds_can_share_a_split(image_folder, tmp_path) -> None:
    def splits(name: str, **changes) -> list:
        session = Session.start(image_folder, tmp_path / name, replace(QUICK, **changes))
        return [(row.path, row.split) for row in read_splits(session.run.folder / "splits.csv")]

    first = splits("first")
    assert splits("other", seed=1) != first
    assert splits("shared", seed=1, split_seed=0) == first
