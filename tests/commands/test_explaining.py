import json
import shutil
from pathlib import Path

import pytest

from alexnet import cli
from alexnet.commands.usage import UsageError


@pytest.fixture(scope="module")
def run(trained_run, tmp_path_factory) -> Path:
    """A copy of the run that all tests share: explaining writes into a run folder."""
    copy = tmp_path_factory.mktemp("explained") / "run"
    shutil.copytree(trained_run, copy, ignore=shutil.ignore_patterns("checkpoint"))
    return copy


def explain(*arguments: object) -> int:
    return cli.run(["explain", *map(str, arguments)])


def test_a_panel_is_drawn_beside_nothing_of_the_users(run, image_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    image = image_folder / "red" / "photo 3.jpg"
    assert explain(run, image) == 0
    out, err = capsys.readouterr()
    panel = Path("explained") / "photo 3.png"
    assert out.startswith(f"{image}  red ")
    assert out.endswith(f"%  {panel}\n")
    assert err == ""
    assert panel.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["explained"]


def test_json_is_one_object(run, image_folder, tmp_path, capsys) -> None:
    assert explain(run, image_folder / "red" / "photo 3.jpg", "gone.jpg", "--out", tmp_path / "out", "--json") == 1
    saved = json.loads(capsys.readouterr().out)
    assert saved["images"][0]["panel"] == str(tmp_path / "out" / "photo 3.png")
    assert saved["images"][1] == {"path": "gone.jpg", "error": "there is no such file"}


def test_an_unreadable_image_is_named_and_stops_no_other(run, image_folder, tmp_path, capsys) -> None:
    shutil.copy(image_folder / "red" / "photo 3.jpg", tmp_path / "b.jpg")
    (tmp_path / "a.jpg").write_bytes(b"bad")
    (tmp_path / "notes.txt").write_text("no image")
    assert explain(run, tmp_path, "--out", tmp_path / "out") == 1
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first == f"{tmp_path / 'a.jpg'}  cannot be read: not an image in a known format"
    assert second.startswith(f"{tmp_path / 'b.jpg'}  red ")
    assert err == f"warning: left out, not an image: {str(tmp_path / 'notes.txt')!r}\n"


def test_what_is_left_out_is_said_in_one_line(run, image_folder, tmp_path, capsys) -> None:
    shutil.copytree(run / "model", tmp_path / "model")
    assert explain(tmp_path / "model", image_folder / "red" / "photo 3.jpg", "--out", tmp_path / "out") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: neither training images nor channels are shown: ")


def test_large_images_are_refused(run, image_folder, tmp_path, capsys) -> None:
    image = image_folder / "red" / "photo 3.jpg"
    assert explain(run, image, "--max-pixels", 100, "--out", tmp_path / "out") == 1
    assert "more than the 100 allowed by --max-pixels" in capsys.readouterr().out


def test_an_image_is_needed(run) -> None:
    with pytest.raises(UsageError, match="explain needs"):
        explain(run)
