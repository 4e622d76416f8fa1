import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

import alexnet
from alexnet import cli
from alexnet.errors import RunError
from alexnet.reporting.page import GENERATOR
from alexnet.training.run.run import Run

QUICK = ("--variant", "batchnorm", "--width", "0.125", "--hidden", "64", "--epochs", "1", "--image-size", "67")


def run_alexnet(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_it_is_written_into_the_run_folder_and_again(run) -> None:
    before = sorted(path.name for path in run.iterdir())
    file = alexnet.report(run)
    assert file == run / "report.html"
    first = file.read_bytes()
    assert GENERATOR.encode() in first
    assert b"Not here" not in first
    assert b"an error in alexnet" not in first
    assert alexnet.report(Run(run)) == file
    assert file.read_bytes() == first, "the same run gives the same report"
    left = {path.name for path in run.iterdir()} - {*before, "report.html"}
    assert all(name.startswith("gallery") for name in left), left


def test_links_lead_to_the_images(run, image_folder) -> None:
    text = alexnet.report(run).read_text()
    links = {Path(unquote(link)) for link in re.findall(r'href="file://([^"]+)"', text)}
    assert len(links) >= 12
    assert all(link.is_file() and link.is_relative_to(image_folder) for link in links)


def test_where_the_data_is_gone_it_says_so_in_place(run, tmp_path) -> None:
    settings = json.loads((run / "settings.json").read_text())
    settings["data"] = str(tmp_path / "moved away")
    (run / "settings.json").write_text(json.dumps(settings))
    text = alexnet.report(run).read_text()
    assert text.count("Not here: ") >= 8
    assert "moved away" in text
    assert '<section id="kernels"><h2>First kernels</h2><p class="">' in text


def test_only_a_report_is_replaced(run, tmp_path) -> None:
    thesis = tmp_path / "thesis.html"
    thesis.write_text("<html>years of work</html>")
    with pytest.raises(RunError, match="exists and is not a report"):
        alexnet.report(run, thesis)
    with pytest.raises(RunError, match="exists and is not a report"):
        alexnet.report(run, tmp_path)
    assert thesis.read_text() == "<html>years of work</html>"
    assert alexnet.report(run, tmp_path / "new" / "a.html") == tmp_path / "new" / "a.html"


# The commands


def test_the_command_prints_the_path(run, tmp_path, capsys) -> None:
    out = tmp_path / "elsewhere.html"
    assert run_alexnet("report", run, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.stat().st_size < 5_000_000
    assert not (run / "report.html").exists()


def test_training_ends_with_a_report(image_folder, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    assert run_alexnet("train", image_folder, "--out", run, *QUICK) == 0
    out, err = capsys.readouterr()
    assert out == f"trained {run}: val top-1 {Run(run).metrics()[-1]['val_top1']:.3f}\n"
    assert re.search(rf"^report: {re.escape(str(run))}/report\.html \(\d+ s\)$", err, flags=re.MULTILINE)
    assert "Not here" not in (run / "report.html").read_text()


def test_training_may_leave_it_out(image_folder, tmp_path, capsys) -> None:
    assert run_alexnet("train", image_folder, "--out", tmp_path / "run", *QUICK, "--report", "off") == 0
    assert "report" not in capsys.readouterr().err
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_report_that_fails_is_a_warning_after_training(image_folder, tmp_path, capsys, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("alexnet.reporting.report.gather", fail)
    assert run_alexnet("train", image_folder, "--out", tmp_path / "run", *QUICK) == 0
    out, err = capsys.readouterr()
    assert "trained" in out
    last = err.splitlines()[-1]
    assert last.startswith("warning: no report was written (OSError: No space left on device)")
    assert last.endswith(f"alexnet report {tmp_path / 'run'}")
    assert (tmp_path / "run" / "model" / "config.json").exists()


def test_a_run_without_a_model_is_one_line(run, capsys) -> None:
    shutil.rmtree(run / "model")
    assert run_alexnet("report", run) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: the run ")
    assert "unfinished" in err


def test_a_report_of_images_that_have_moved_names_its_own_command(trained_run, image_folder, tmp_path) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(trained_run, run)
    saved = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**saved, "data": str(tmp_path / "gone")}))
    text = alexnet.report(run).read_text()
    assert f"alexnet report {run} --data DATA" in text
    assert "alexnet evaluate" not in text.replace("alexnet evaluate A --compare B", "")
    shutil.copytree(image_folder, data)
    assert "Not here" not in alexnet.report(run, data=data).read_text()


def test_a_low_limit_on_pixels_is_not_for_the_reports_own_images(run) -> None:
    config = json.loads((run / "model" / "config.json").read_text())
    config["preprocessing"]["max_pixels"] = 70_000
    (run / "model" / "config.json").write_text(json.dumps(config))
    assert "a temple" in alexnet.report(run).read_text()
