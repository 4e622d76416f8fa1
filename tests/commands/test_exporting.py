import json
import re
import shlex
from pathlib import Path

import pytest

from alexnet.cli import run
from alexnet.commands.usage import UsageError
from alexnet.errors import SettingsError
from alexnet.exporting.comparison import Comparison
from alexnet.exporting.place import Exported


def test_it_prints_what_came_of_it(trained_run, tmp_path, capsys) -> None:
    out = tmp_path / "photos.onnx"
    assert run(["export", str(trained_run), "--fp16", "--out", str(out)]) == 0
    printed, said = capsys.readouterr()
    assert said == ""
    for row in ("top-1", "size", "one image", "an image, 32 at a time"):
        assert re.search(rf"^ *{re.escape(row)} +\d+\.\d+( MB| ms|) +\d+\.\d+( MB| ms|)$", printed, flags=re.MULTILINE)
    saved = json.loads((tmp_path / "photos.onnx.json").read_text())
    assert f"same top-1 for {round(saved['agreement'] * 12)} of 12 test images" in printed
    assert printed.splitlines()[-1] == (f"written to {out}; it holds eight small images of the data, for its self-test")


def test_notes_go_to_stderr(monkeypatch, capsys) -> None:
    comparison = Comparison(200, 0.985, -2, 0.25, 0.8, 0.81, 187_000_000, 5_200_000, {1: 44.0}, {1: 11.4})
    done = Exported(Path("x.onnx"), comparison, ("fc7 stays whole",))
    monkeypatch.setattr("alexnet.exporting.export.export", lambda *_, **__: done)
    assert run(["export", "x", "--shrink", "--max-loss", "0.05"]) == 0
    printed, said = capsys.readouterr()
    assert said == "note: fc7 stays whole\n"
    assert "same top-1 for 197 of 200 test images; largest change of a probability: 0.25; images gained: 2" in printed
    assert re.search(r"size +187\.0 MB +5\.2 MB", printed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--int8 --fp16", "--int8 and --fp16 exclude each other; give one of them"),
        ("--max-loss 0.5", "--max-loss is for --shrink; give both"),
    ],
)
def test_options_that_exclude_each_other(trained_run, options, message) -> None:
    with pytest.raises(UsageError, match=message):
        run(["export", str(trained_run), *shlex.split(options)])


def test_a_foreign_file_is_not_replaced(trained_run, tmp_path) -> None:
    (tmp_path / "x.onnx").write_text("theirs")
    with pytest.raises(SettingsError, match="is no export of alexnet"):
        run(["export", str(trained_run), "--out", str(tmp_path / "x.onnx")])
    assert (tmp_path / "x.onnx").read_text() == "theirs"
