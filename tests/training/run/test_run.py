"""What is in a run folder, whole and damaged."""

import copy
import json
import re
import shutil
from base64 import b64decode
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from alexnet import Settings
from alexnet.errors import AlexNetError, RunError
from alexnet.network.value.variants import VARIANTS
from alexnet.training.choices.settings import load_settings
from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.checkpoint import list_checkpoints, load_checkpoint
from alexnet.training.run.curves import as_svg, curves
from alexnet.training.run.run import Run
from alexnet.training.session import Session

from ...anything import ANYTHING, places, replace_at
from ...html.page import Page

FIRST = EpochReport(1, 1.5, 1.25, 0.5, 0.01, 3.0, 40.0, 67)


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    (tmp_path / "run" / "settings.json").write_text("{}")
    run = Run(tmp_path / "run")
    for epoch in (1, 2, 3):
        run.append(replace(FIRST, epoch=epoch))
    return run


def add(run: Run, text: str) -> None:
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(text)


@pytest.mark.parametrize("cut", ["", "{", '{"epoch": 4, "train_lo', "\0\0\0", '{"epoch": 4, "train_loss": 1.5}'[:-1]])
def test_a_last_line_that_was_cut_short_is_left_out(run, cut) -> None:
    add(run, cut)
    assert run.metrics() == [asdict(replace(FIRST, epoch=epoch)) for epoch in (1, 2, 3)]
    assert [report.epoch for report in run.history(2)] == [1, 2]
    run.clean_up(2)
    assert [line["epoch"] for line in run.metrics()] == [1, 2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[]", "[] is not a JSON object"),
        ("4", "4 is not a JSON object"),
        ("{}", "it lacks 'epoch'"),
        ('{"epoch"\n{}', "it is not JSON"),
        (json.dumps({**asdict(FIRST), "epoch": 4, "top5": 1}), "unknown field 'top5'"),
        (json.dumps({**asdict(FIRST), "epoch": "4"}), "epoch is '4'; it must be a whole number"),
        (json.dumps({**asdict(FIRST), "epoch": 4, "val_loss": None}), "val_loss is None; it must be a number"),
        (json.dumps({**asdict(FIRST), "epoch": 3}), "epoch 3 is out of order"),
        (json.dumps({**asdict(FIRST), "epoch": -3}), "epoch -3 is out of order"),
    ],
)
def test_any_other_line_that_is_damaged_is_named(run, line, reason) -> None:
    add(run, f"{line}\n")
    for read in (run.metrics, lambda: run.history(3), lambda: run.clean_up(3)):
        with pytest.raises(RunError, match=rf"metrics\.jsonl' line 4 is damaged \({re.escape(reason)}"):
            read()


def test_two_sizes_that_disagree_are_refused(run) -> None:
    file = run.folder / "settings.json"
    file.write_text(json.dumps({"image_size": 67, "resolved": {"image_size": 99}}))
    with pytest.raises(RunError, match="image_size is 67, but 99 under resolved; restore"):
        run.settings()
    for image_size in (None, 99):
        file.write_text(json.dumps({"image_size": image_size, "resolved": {"image_size": 99}}))
        assert run.settings()["image_size"] == image_size


@pytest.fixture(scope="module")
def begun(image_folder, tmp_path_factory) -> Session:
    """A run that was left in the midst of an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        net = VARIANTS["batchnorm"]
        layers = tuple(replace(layer, channels=layer.channels // 8) for layer in net.layers)
        patch.setitem(VARIANTS, "batchnorm", replace(net, layers=layers, hidden=(32, 32)))
        settings = Settings(variant="batchnorm", epochs=2, image_size=67, batch_size=32)
        session = Session.start(image_folder, tmp_path_factory.mktemp("runs") / "begun", settings)
        reports = session.reports()
        next(reports), next(reports)
        reports.close()
        session.save()
    return session


def test_any_value_in_a_checkpoint_is_refused_by_name_or_goes_on(begun) -> None:
    (newest,) = list_checkpoints(begun.run.checkpoints)
    file = newest / "state.json"
    text = file.read_text()
    whole, position = json.loads(text), begun.training.position
    refused = {}
    for where in places(whole):
        for value in ANYTHING:
            state = copy.deepcopy(whole)
            replace_at(state, where, value)
            file.write_text(json.dumps(state))
            try:
                load_checkpoint(begun.run.checkpoints, begun.training)
            except RunError as error:
                refused[where] = str(error)
    file.write_text(text)
    assert load_checkpoint(begun.run.checkpoints, begun.training) == whole["seconds"]
    assert begun.training.position == position
    assert refused.keys() == set(places(whole)), "each value is looked at"
    assert all(re.search(r"is damaged \(.*\); delete it to start over", line) for line in refused.values())


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_a_state_that_is_none(begun, text) -> None:
    (newest,) = list_checkpoints(begun.run.checkpoints)
    before = (newest / "state.json").read_text()
    (newest / "state.json").write_text(text)
    with pytest.raises(RunError, match="is damaged") as caught:
        load_checkpoint(begun.run.checkpoints, begun.training)
    (newest / "state.json").write_text(before)
    assert len(str(caught.value)) - 2 * len(str(newest)) < 250


def test_any_value_in_settings_is_refused_by_name_or_understood(begun, tmp_path) -> None:
    whole = json.loads((begun.run.folder / "settings.json").read_text())
    file = Path(tmp_path / "settings.json")
    refused = []
    for name in whole:
        for value in ANYTHING:
            file.write_text(json.dumps({**whole, name: value}))
            try:
                load_settings(file)
            except AlexNetError as error:
                refused.append((name, str(error)))
    assert {name for name, _ in refused} == set(whole) - {"resolved"}
    assert all(len(line) < 300 + len(str(file)) for _, line in refused)


def test_any_value_in_what_followed_is_refused_by_name_or_understood(begun, tmp_path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(begun.run.folder, folder, ignore=shutil.ignore_patterns("checkpoint"))
    run, file = Run(folder), folder / "settings.json"
    whole = json.loads(file.read_text())
    refused = []
    for where in places(whole["resolved"]):
        for value in ANYTHING:
            changed = copy.deepcopy(whole)
            replace_at(changed["resolved"], where, value)
            file.write_text(json.dumps(changed))
            try:
                run.parsed_settings()
            except RunError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 300 + len(str(file))


def test_a_notebook_shows_the_curves_and_links_to_the_files(run, monkeypatch) -> None:
    monkeypatch.chdir(run.folder.parent)
    (run.folder / "report.html").touch()
    page = Page(run._repr_html_())
    (image,) = page.all("img")
    svg = b64decode(str(image["src"]).removeprefix("data:image/svg+xml;base64,")).decode()
    assert svg == as_svg(curves(run.history(3)))
    assert [link["href"] for link in page.all("a")] == ["run/report.html", "run/metrics.jsonl", "run/settings.json"]
    assert page.text.startswith(f"{run.folder}{replace(FIRST, epoch=3)}report.html")


def test_a_notebook_shows_a_run_that_has_just_begun_or_is_damaged(run) -> None:
    add(run, "[]\n")
    assert re.search(r"metrics\.jsonl' line 4 is damaged", Page(run._repr_html_()).text)
    (run.folder / "metrics.jsonl").unlink()
    assert "no epoch is done yet" in Page(run._repr_html_()).text
    renamed = run.folder.rename(run.folder.with_name("<b>&\"'"))
    page = Page(Run(renamed)._repr_html_())
    assert str(renamed) in page.text
    assert page.names == {"div", "span", "a"}
