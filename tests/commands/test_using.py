"""``alexnet predict``: what goes where, and what is left when it is stopped."""

import csv
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from alexnet import cli
from alexnet.commands.terminal import display
from alexnet.inference.classifier import Classifier

from ..forked import start
from .terminal.screen import Screen

SMALL = Path(__file__).parents[1] / "training" / "small.py"


def predict(*arguments: object) -> int:
    """Run the command in this process and return its exit status."""
    with pytest.raises(SystemExit) as stop:
        cli.main(["predict", *map(str, arguments)])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture
def images(image_folder, tmp_path) -> Path:
    return Path(shutil.copytree(image_folder / "red", tmp_path / "images"))


@pytest.mark.parametrize(("name", "kind"), [("a.csv", "csv"), ("a.jsonl", "json"), ("A.JSON", "json")])
def test_a_file_holds_what_would_be_printed(trained_run, images, tmp_path, capsys, name, kind) -> None:
    (images / "bad.jpg").write_bytes(b"bad")
    assert predict(trained_run, images, "--top", 2, "--format", kind) == 1
    printed = capsys.readouterr().out
    assert predict(trained_run, images, "--top", 2, "--out", tmp_path / name) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"{tmp_path / name}: 40 predicted, 0 skipped, 1 failed"
    assert (tmp_path / name).read_text() == printed


def test_the_format_may_be_given_instead_of_an_ending(trained_run, images, tmp_path) -> None:
    assert predict(trained_run, images, "--out", tmp_path / "results", "--format", "json") == 0
    assert len([json.loads(line) for line in (tmp_path / "results").read_text().splitlines()]) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "results"], "--out is 'results'; end it in .jsonl, .json or .csv, or give --format"),
        (["--out", "results.txt"], "--out is 'results.txt'; end it in"),
        (["--out", "results.csv", "--format", "table"], "leave out --format table"),
    ],
)
def test_a_file_that_could_not_be_continued_is_wrong_usage(capsys, arguments, message) -> None:
    assert predict("x", "y", *arguments) == 2
    assert message in capsys.readouterr().err


def assert_same_table(found: bytes, expected: bytes) -> None:
    """Some processors add in another order in another batch: the last digit of a probability may differ."""
    for one, other in zip(found.decode().splitlines(), expected.decode().splitlines(), strict=True):
        for cell, wanted in zip(one.split(","), other.split(","), strict=True):
            is_probability = wanted.startswith(("0.", "1."))
            assert float(cell) == pytest.approx(float(wanted), abs=2e-6) if is_probability else cell == wanted


def test_what_is_missing_is_added(trained_run, images, tmp_path, capsys) -> None:
    out = tmp_path / "results.csv"
    assert predict(trained_run, images, "--out", out) == 0
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert predict(trained_run, images, "--out", out) == 0
    assert_same_table(out.read_bytes(), whole)
    whole_again = out.read_bytes()
    n_held = whole[: len(whole) // 2].count(b"\n") - 1
    assert capsys.readouterr().err == f"{out}: {40 - n_held} predicted, {n_held} skipped, 0 failed\n"
    # Nothing is left to do; then there are new images, and one that was given twice.
    assert predict(trained_run, images, "--out", out) == 0
    assert out.read_bytes() == whole_again
    shutil.copyfile(images / "photo 1.jpg", images / "photo 99.jpg")
    capsys.readouterr()
    assert predict(trained_run, images, images / "photo 99.jpg", "--out", out) == 0
    assert capsys.readouterr().err.endswith(": 1 predicted, 40 skipped, 0 failed\n")


def test_a_repaired_image_is_tried_again(trained_run, images, tmp_path) -> None:
    image, out = images / "photo 3.jpg", tmp_path / "results.jsonl"
    content = image.read_bytes()
    image.write_bytes(content[:300])
    assert predict(trained_run, images, "--out", out) == 1
    assert predict(trained_run, images, "--out", out) == 1, "as long as one cannot be read"
    image.write_bytes(content)
    assert predict(trained_run, images, "--out", out) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(each["path"] for each in found) == sorted(map(str, images.iterdir()))
    assert not any("error" in each for each in found)


def test_another_model_does_not_continue(trained_run, images, tmp_path, capsys) -> None:
    out, other = tmp_path / "results.csv", tmp_path / "other"
    assert predict(trained_run, images, "--out", out) == 0
    shutil.copytree(trained_run / "model", other)
    assert predict(other, images, "--out", out) == 0, "the same model elsewhere"
    config = json.loads((other / "config.json").read_text())
    config["calibration"]["temperature"] *= 2
    (other / "config.json").write_text(json.dumps(config))
    before = out.read_bytes()
    capsys.readouterr()
    for arguments, message in (
        ((other, images), "holds the predictions of another model"),
        ((trained_run, images, "--ensemble", trained_run), "holds the predictions of another model"),
        ((trained_run, images, "--top", 1), "was made with --top 3, not 1"),
        ((trained_run, images, "--format", "json"), "holds CSV, not lines of JSON"),
    ):
        assert predict(*arguments, "--out", out) == 1
        assert message in capsys.readouterr().err
    assert out.read_bytes() == before


def test_relative_paths_belong_to_a_folder(trained_run, images, tmp_path, capsys, monkeypatch) -> None:
    out = tmp_path / "results.csv"
    monkeypatch.chdir(tmp_path)
    assert predict(trained_run, "images", "--out", "results.csv") == 0
    shutil.copytree(images, tmp_path / "elsewhere" / "images")
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    assert predict(trained_run, "images", "--out", out) == 1
    assert f"relative to {str(tmp_path)!r}" in capsys.readouterr().err
    assert predict(trained_run, tmp_path / "elsewhere" / "images", "--out", out) == 0
    assert len(out.read_text().splitlines()) == 1 + 80


def test_stopped_by_a_key_it_says_how_to_continue(trained_run, images, tmp_path, capsys, monkeypatch) -> None:
    out, real = tmp_path / "results.csv", Classifier.predict_each

    def stopped(self, images, top) -> Iterator[object]:
        for number, result in enumerate(real(self, images, top)):
            if number == 7:
                raise KeyboardInterrupt
            yield result

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "predict_each", stopped)
        assert predict(trained_run, images, "--out", out) == 130
    assert capsys.readouterr().err.splitlines() == [
        f"{out} holds 7 more images; run the same command again to continue",
        "error: stopped",
    ]
    assert len(out.read_text().splitlines()) == 1 + 7
    assert predict(trained_run, images, "--out", out) == 0
    assert capsys.readouterr().err.endswith(": 33 predicted, 7 skipped, 0 failed\n")


def test_a_name_with_a_line_break_is_one_record(trained_run, images, capsys) -> None:
    (images / "photo 1.jpg").rename(images / "photo\n1.jpg")
    (images / "photo 2.jpg").rename(images / "photo\r2.jpg")
    assert predict(trained_run, images, "--format", "csv") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines(keepends=True)))
    assert {row["path"] for row in rows} == set(map(str, images.iterdir()))


def test_progress_is_on_the_terminal_and_results_are_where_they_belong(
    trained_run, images, capsys, monkeypatch
) -> None:
    screen = Screen(width=100)
    console = Console(file=screen, width=100, force_terminal=True, legacy_windows=False, soft_wrap=True)  # type: ignore[arg-type]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(display, "console", console)
    shown: list[str] = []
    write = screen.write

    def record(text: str) -> int:
        shown.append(text)
        return write(text)

    monkeypatch.setattr(screen, "write", record)
    assert predict(trained_run, images, "--format", "json") == 0
    printed = capsys.readouterr().out
    assert len([json.loads(line) for line in printed.splitlines()]) == 40
    assert "predicted" in "".join(shown)
    assert "/40" in "".join(shown)
    assert screen.text == [], "nothing is left of the bar"

    shown.clear()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert predict(trained_run, images, "--format", "json") == 0
    assert capsys.readouterr().out == printed
    assert shown == [], "a bar would be in the way of the results"


@pytest.mark.soak
def test_killed_again_and_again_it_ends_with_every_image_once(trained_run, image_folder, tmp_path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(1500):
        os.link(image_folder / "red" / f"photo {number % 40}.jpg", images / f"{number}.jpg")
    out = tmp_path / "results.csv"
    n_killed = 0
    for n_lines in (1, 200, 500, 900, 1300, 10**6):
        process = start(SMALL, "predict", trained_run, images, "--out", out, cwd=tmp_path)
        while process.returncode is None and not (out.exists() and out.read_bytes().count(b"\n") > n_lines):
            time.sleep(0.001)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        n_killed += process.returncode == -signal.SIGKILL
    assert n_killed >= 3
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert sorted(row["path"] for row in rows) == sorted(map(str, images.iterdir()))
    assert {row["error"] for row in rows} == {""}
