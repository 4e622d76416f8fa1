import csv
import json
import shutil

import pytest

from alexnet.cli import run as alexnet
from alexnet.commands.usage import UsageError
from alexnet.errors import SettingsError

from ..conftest import make_image_folder


@pytest.fixture
def other(trained_run, tmp_path):
    """The same model in another folder."""
    shutil.copytree(trained_run / "model", tmp_path / "other")
    return tmp_path / "other"


def said(capsys, *arguments) -> str:
    assert alexnet(["evaluate", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_scores_stand_with_their_intervals(capsys, trained_run) -> None:
    lines = [line.strip() for line in said(capsys, trained_run).splitlines()]
    assert lines[0].startswith("12 test images of ")
    top1 = next(line for line in lines if line.startswith("top-1"))
    assert " to " in top1
    assert not any(line.startswith(("top-3", "top-5")) for line in lines), "three classes are always among five"
    assert any(line.startswith("calibration error") and "without the temperature" in line for line in lines)
    assert not any("balanced accuracy" in line for line in lines)


def test_where_a_class_is_missing_both_means_of_recalls_are_shown(capsys, trained_run, tmp_path) -> None:
    make_image_folder(tmp_path / "mine", n_each=2, first=1000)
    shutil.rmtree(tmp_path / "mine" / "red")
    out = said(capsys, trained_run, tmp_path / "mine")
    assert "macro recall (0 for classes without images)" in out
    assert "balanced accuracy (classes with images)" in out


def test_two_networks_are_compared(capsys, trained_run, other) -> None:
    out = said(capsys, trained_run, "--compare", other)
    assert "difference" in out
    assert "+0.000" in out
    assert "McNemar's exact test: p = 1; both networks get the same images right" in out
    whole = json.loads(said(capsys, trained_run, "--compare", other, "--json"))
    assert whole["compare"]["p_value"] == 1
    assert whole["compare"]["differences"] == []


def test_the_mean_of_a_network_with_itself_is_itself(capsys, trained_run, other) -> None:
    alone = json.loads(said(capsys, trained_run, "--json"))
    together = json.loads(said(capsys, trained_run, "--ensemble", other, other, "--json"))
    assert together["loss"] == pytest.approx(alone["loss"])
    assert together["uncalibrated_ece"] is None
    assert "mean of 3 networks" in said(capsys, trained_run, "--ensemble", other, other)


def test_predict_takes_an_ensemble(capsys, trained_run, other, image_folder) -> None:
    image = str(image_folder / "red" / "photo 1.jpg")
    assert alexnet(["predict", str(trained_run), image, "--format", "json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alexnet(["predict", str(trained_run), image, "--format", "json", "--ensemble", str(other)]) == 0
    together = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in together["predictions"]] == [each["label"] for each in alone["predictions"]]
    assert together["predictions"][0]["probability"] == pytest.approx(alone["predictions"][0]["probability"])


def test_errors_are_written_and_never_overwrite(capsys, trained_run, tmp_path) -> None:
    file = tmp_path / "errors.csv"
    said(capsys, trained_run, "--errors", file)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    own = [float(row["probability_of_label"]) for row in rows]
    assert len(rows) == 12
    assert own == sorted(own)
    with pytest.raises(SettingsError, match="exists, and is not overwritten"):
        alexnet(["evaluate", str(trained_run), "--errors", str(file)])


@pytest.mark.parametrize("more", [[], ["--errors", "e.csv", "--views", "10"], ["--errors", "e.csv", "--json"]])
def test_folds_need_a_file_and_take_no_other_option(trained_run, more) -> None:
    with pytest.raises(UsageError, match="--out-of-fold needs --errors FILE, and no other option"):
        alexnet(["evaluate", str(trained_run), "--out-of-fold", "3", *more])
