import csv
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from alexnet import Settings, cli
from alexnet.commands.terminal.introduction import describe_recipe, expected_epochs
from alexnet.commands.terminal.tables import prediction_lines
from alexnet.inference.classifier import ImagePredictions, Prediction
from alexnet.network.diagram import mermaid
from alexnet.network.value.changes import resolve
from alexnet.training.choices.recipes import PAPER
from alexnet.training.learning.state import Position
from alexnet.training.plan import Plan, Timing
from alexnet.version import VERSION

from .conftest import coloured_image, make_image_folder
from .forked import Forked, start

GOLDEN = Path(__file__).parent / "golden" / "alexnet_table.txt"
QUICK = (
    "--variant",
    "batchnorm",
    "--width",
    "0.125",
    "--hidden",
    "64",
    "--epochs",
    "1",
    "--image-size",
    "67",
    "--batch-size",
    "16",
    "--report",
    "off",
)
# The command line as a script, with a small network, and the same that kills itself.
SMALL, DYING = (Path(__file__).parent / "training" / name for name in ("small.py", "dying.py"))


def alexnet(*arguments: object) -> int:
    """Run a command line in this process and return its exit status."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def one_error(capsys) -> str:
    """Return the one line on stderr, where nothing is on stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    return line


# What is imported


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, alexnet, alexnet.cli; print(sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_needs_no_torch() -> None:
    script = """
import sys
from alexnet.cli import run
run(["summary", "--as", "mermaid"])
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("given", "policy"),
    [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "1000"}, None)],
)
def test_the_command_line_waits_passively_unless_the_user_chooses(given, policy) -> None:
    """OpenMP reads the variable when torch is imported, so it must be set before that."""
    script = """
import os, sys
import alexnet
before = os.environ.get("OMP_WAIT_POLICY")
def audit(event, arguments):
    if event == "import" and arguments[0] == "torch":
        print(before, os.environ.get("OMP_WAIT_POLICY"))
        os._exit(0)
sys.addaudithook(audit)
from alexnet.cli import main
main(["train", "nowhere"])
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-u", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**environment, **given})
    assert done.stdout.split() == [str(given.get("OMP_WAIT_POLICY")), str(policy)], "importing alexnet changes nothing"


@pytest.mark.parametrize(("numbers", "ended"), [("[]", "exit, finalized"), ("[1.5]", "exit, ")])
def test_one_of_several_processes_ends_without_shutting_down_the_interpreter(numbers, ended) -> None:
    """Gloo's threads may still need Python's lock, and abort the process then (pytorch/pytorch #179291)."""
    script = f"""
import atexit, os, sys
from alexnet import cli
from alexnet.training.machine import distributed
distributed._LAST_SUMS[:] = {numbers}
class Last:
    def __del__(self, write=os.write): write(1, b"finalized")
sys.last = Last()
atexit.register(print, "exit", end=", ")
cli.main(["predict"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ended)


def test_public_names_are_there() -> None:
    import alexnet as package

    assert package.__all__ == [
        "AlexNet", "AlexNetError", "Architecture", "Classifier", "RECIPES", "Recipe", "Settings", "VARIANTS",
        "evaluate", "explain", "export", "load", "load_weights", "push", "report", "summary", "train",
    ]  # fmt: skip
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert not hasattr(package, "nonsense")


# summary


def test_summary_of_a_file_says_what_the_file_says(capsys, tmp_path) -> None:
    (tmp_path / "grey.json").write_text('{"in_channels": 1, "n_classes": 10, "hidden": [8]}')
    assert alexnet("summary", "--architecture", str(tmp_path / "grey.json"), "--as", "json") == 0
    net = json.loads(capsys.readouterr().out)["architecture"]
    assert (net["in_channels"], net["n_classes"], net["hidden"], net["variant"]) == (1, 10, [8], "grey")


def test_data_after_a_list_of_sizes_is_explained(capsys) -> None:
    assert alexnet("train", "--hidden", "64", "photos") == 2
    assert "--hidden: cannot be '64 photos'; give numbers, and DATA before them" in capsys.readouterr().err


def test_summary_prints_the_table_and_nothing_else(capsys) -> None:
    assert alexnet("summary", "--n-classes", "3") == 0
    assert capsys.readouterr().out == GOLDEN.read_text(encoding="utf-8")


def test_summary_draws_and_counts(capsys) -> None:
    assert alexnet("summary", "--as", "mermaid", "--n-classes", 7, "--image-size", 128) == 0
    assert capsys.readouterr().out == mermaid(resolve(n_classes=7, image_size=128)) + "\n"
    assert alexnet("summary", "--as", "json", "--in-channels", 1) == 0
    assert json.loads(capsys.readouterr().out)["architecture"]["in_channels"] == 1


# help and usage


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.COMMANDS)])
def test_help_says_what_everything_does(capsys, monkeypatch, command) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert alexnet(*command, "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: alexnet")
    assert "\nexamples:\n  alexnet " in out
    for name in cli.COMMANDS if not command else ():
        assert name in out


def test_the_version_is_one_line(capsys) -> None:
    assert alexnet("--version") == 0
    assert capsys.readouterr().out == f"alexnet {VERSION}\n"
    assert alexnet("--help") == 0
    assert "--version" in capsys.readouterr().out


def test_the_options_of_train_are_these(capsys) -> None:
    """A new option is a decision: it changes this list."""
    alexnet("train", "--help")
    out = capsys.readouterr().out
    options = set(re.findall(r"^  (?:-h, )?(--[a-z][\w-]+)", out, flags=re.MULTILINE))
    assert options == {
        "--help", "--out", "--resume", "--recipe", "--variant", "--epochs", "--time-limit", "--image-size",
        "--batch-size", "--lr", "--flip", "--seed", "--split-seed", "--device", "--precision", "--checkpoint-minutes",
        "--in-channels", "--resize", "--max-pixels", "--data-dir",
        "--crop", "--colour-shift", "--trivial-augment", "--turn", "--erasing", "--mixup", "--cutmix",
        "--settings", "--find-lr", "--accumulate", "--weight-decay", "--label-smoothing", "--clip-norm", "--ema",
        "--balance", "--patience", "--init", "--init-take", "--init-pixels", "--init-key", "--freeze", "--compile",
        "--track", "--optimizer", "--report",
            "--architecture", "--width", "--hidden", "--dropout", "--norm", "--norm-place", "--activation", "--pool",
            "--groups",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--variant", "batchnrm"], "--variant cannot be 'batchnrm'; did you mean 'batchnorm'?"),
        (["train", "--recipe", "modren"], "--recipe cannot be 'modren'; did you mean 'modern'?"),
        (["train", "--epoch", "3"], "unknown option --epoch; did you mean --epochs?"),
        (["train", "--lr", "high"], "--lr cannot be 'high'; give a number"),
        (["train", "--lr"], "--lr needs a value"),
        (["train", "--epochs", "many"], "--epochs cannot be 'many'; give a whole number"),
        (["trian"], "unknown command 'trian'; did you mean 'train'? See alexnet --help"),
        (["train", "my", "photos"], "unexpected argument 'photos'; put a name that holds spaces in quotes"),
        (["summary", "--as", "tabel"], "--as cannot be 'tabel'; did you mean 'table'?"),
        (["evaluate", "x", "--split", "tset"], "--split cannot be 'tset'; did you mean 'test'?"),
        (["predict", "x"], "predict needs at least one image"),
        (["explain", "x"], "explain needs at least one image"),
        (["serve"], "serve needs at least one model"),
        (["evaluate", "x", "--views", "5"], "--views cannot be '5'"),
        (["evaluate"], "evaluate needs MODEL"),
        (["push", "x"], "push needs REPO"),
        (["export"], "export needs MODEL"),
        (["export", "x", "--format", "onx"], "--format cannot be 'onx'; did you mean 'onnx'?"),
        (["export", "x", "--int8", "--fp16"], "--int8 and --fp16 exclude each other"),
        (["report"], "report needs RUN"),
        (["train", "--report", "no"], "--report cannot be 'no'"),
        (["check"], "check needs DATA"),
        (["check", "x", "--json", "--csv"], "--json and --csv exclude each other"),
        (["prepare"], "prepare needs DATA, or --where, or --clear"),
        (["prepare", "x", "--clear"], "prepare needs DATA, or --where, or --clear"),
        (["train", "--resize", "strech"], "--resize cannot be 'strech'"),
        (["train", "--crop", "papre"], "--crop cannot be 'papre'; did you mean 'paper'?"),
        (["train", "--in-channels", "2"], "--in-channels cannot be '2'"),
        (
            [],
            "give a command: summary, check, prepare, train, evaluate, predict, explain, report, export, serve, push",
        ),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_word(capsys, monkeypatch, arguments, message) -> None:
    monkeypatch.setenv("COLUMNS", "50")  # where most lines of the parser's boxes are broken
    assert alexnet(*arguments) == 2
    assert message in one_error(capsys)


@pytest.mark.parametrize("columns", [80, 130])
def test_how_wide_the_terminal_is_changes_no_line(capsys, monkeypatch, columns) -> None:
    said = []
    for width in (50, columns):
        monkeypatch.setenv("COLUMNS", str(width))
        assert alexnet("train", "digits", "--epochs", "many", "--recipe", "modern") == 2
        said.append(one_error(capsys))
    assert said[0] == said[1]


# train, and what is wrong with data and settings


@pytest.mark.parametrize(
    ("n_epochs", "seconds_left", "done", "words"),
    [
        (1, None, 0, "1 epoch"),
        (40, None, 3, "40 epochs"),
        (200, 121.0, 0, "about 12 epochs within the time limit"),
        (200, 121.0, 3, "about 15 epochs within the time limit"),
        (10, 1e6, 0, "about 10 epochs within the time limit"),
        (200, 10.0, 0, "about 1 epoch within the time limit"),
        (200, 9.0, 0, "less than one epoch within the time limit"),
        (200, -1.0, 0, "less than one epoch within the time limit"),
    ],
)
def test_as_many_epochs_are_announced_as_fit(n_epochs, seconds_left, done, words, monkeypatch) -> None:
    """100 images of a constant size take 10 s an epoch."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    net = resolve(n_classes=3)
    plan = Plan(recipe=PAPER, architecture=net, n_examples=100, n_epochs=n_epochs, timing=Timing({224: 0.1}))
    plan.deadline = None if seconds_left is None else 1000 + seconds_left
    assert expected_epochs(SimpleNamespace(plan=plan, position=Position(epoch=done, progress=done / 20))) == words


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "recipe modern: muon, learning rate 0.02, dropout 0.2, crops of 35% to 100% of an image"),
        ({"epochs": 5}, "recipe modern: muon, learning rate 0.02, no dropout, crops of 60% to 100% of an image"),
        ({"recipe": "paper"}, "recipe paper: sgd, learning rate 0.01, dropout 0.5, crops of 7/8 of the side"),
        ({"variant": "original", "recipe": "paper"},
         "recipe paper: sgd, learning rate 0.01, dropout 0.5, crops of 7/8 of the side"),
        ({"recipe": "article", "hidden": ()}, "recipe article: sgd, learning rate 0.005, no dropout, no crops"),
        ({"recipe": "original", "variant": "original"},
         "recipe original: sgd, learning rate 0.01, dropout 0.5, crops of 7/8 of the side, less a mean image"),
        ({"batch_size": 50, "optimizer": "sgd", "dropout": 0.35},
         "recipe modern: sgd, learning rate 0.016, dropout 0.35, crops of 35% to 100% of an image"),
    ],
)  # fmt: skip
def test_the_recipe_is_one_short_line(options, line) -> None:
    settings = Settings(**options)
    net = settings.network(n_classes=3)
    plan = Plan(recipe=settings.resolved_recipe, architecture=net, n_examples=9, n_epochs=settings.n_epochs())
    plan = plan.for_passes(plan.n_epochs)
    assert describe_recipe(plan.recipe, plan.architecture) == line
    assert len(line) < 100


def test_train_evaluate_predict(image_folder, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    assert alexnet("train", image_folder, "--out", run, *QUICK) == 0
    out, err = capsys.readouterr()
    assert str(run) in out
    assert "96 train, 12 val and 12 test images of 3 classes" in err
    assert "epoch   1  67 px" in err

    assert alexnet("evaluate", run, image_folder, "--split", "test", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert list(scores) == [
        "n_images", "top1", "top5", "loss", "ece", "macro_recall", "balanced_accuracy", "per_class", "confusion",
        "intervals", "uncalibrated_ece", "ece_if_calibrated",
    ]  # fmt: skip
    assert scores["n_images"] == 12

    assert alexnet("predict", run, image_folder / "red" / "photo 0.jpg", "--format", "json") == 0
    result = json.loads(capsys.readouterr().out)
    assert sum(each["probability"] for each in result["predictions"]) == pytest.approx(1)
    assert {each["label"] for each in result["predictions"]} == {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nowhere"], ["no folder 'nowhere'", "class folders"]),
        (["train", "digits", "--image-size", "50", "--variant", "batchnorm"], ["50", "67"]),
        (["summary", "--n-classes", "0"], ["n_classes is 0", "at least 1"]),
        (["summary", "--image-size", "50"], ["67"]),
        (["train", "--lr", "0"], ["lr is 0"]),
        (["train", "--batch-size", "1"], ["batch_size is 1"]),
        (["train", "digits", "--batch-size", "8", "--accumulate", "8"], ["batch_size is 8", "at least 16"]),
        (["train", "--epochs", "0"], ["epochs is 0"]),
        (["train", "--time-limit", "soon"], ["time_limit is 'soon'", "10m"]),
        (["train", "--device", "gpu"], ["unknown device 'gpu'", "cpu"]),
        (["train", "--resume", "nowhere"], ["no run at 'nowhere'"]),
        (["train", "digits", "--resume", "x"], ["no run at 'x'"]),
        (["train", "--resume", "x", "--epochs", "3"], ["--resume", "leave out"]),
        (["evaluate", "nowhere"], ["no model at 'nowhere'"]),
        (["predict", "nowhere", "x.jpg"], ["no model at 'nowhere'"]),
        (["predict", "nobody/nothing", "x.jpg"], ["no model at 'nobody/nothing'", "write hf:nobody/nothing"]),
        (["predict", "hf:nobody/nothing", "x.jpg"], ["cannot load 'hf:nobody/nothing'", "the hub: no network"]),
        (["explain", "nowhere", "x.jpg"], ["no model at 'nowhere'"]),
        (["evaluate", "~nobody-of-this-name/run"], ["no model at '~nobody-of-this-name/run'"]),
        (["check", "~nobody-of-this-name/photos"], ["no folder '~nobody-of-this-name/photos'"]),
        (["push", "nowhere", "anna/birds"], ["no model at 'nowhere'"]),
        (["report", "nowhere"], ["no run at 'nowhere'"]),
        (["prepare", "nowhere"], ["no folder 'nowhere'"]),
        (["prepare", "digits", "--size", "0"], ["size is 0"]),
        (["train", "auto"], ["no folder 'auto'"]),
        (["check", "nowhere"], ["no folder 'nowhere'"]),
        (["check", "nowhere.zip"], ["no file 'nowhere.zip'"]),
        (["check", ""], ["the name of the data is empty"]),
        (["check", ".", "--max-pixels", "-5"], ["max_pixels is -5"]),
        (["predict", "x", "y", "--max-pixels", "0"], ["max_pixels is 0"]),
        (["evaluate", "x", "--max-pixels", "0"], ["max_pixels is 0"]),
        (["train", "--erasing", "2"], ["erasing is 2.0"]),
        (["train", "--mixup", "-1"], ["mixup is -1.0"]),
        (["train", "--max-pixels", "0"], ["max_pixels is 0"]),
        (["train", "cifar10", "--data-dir", "."], ["cannot download 'cifar10'", "no network", "--data-dir"]),
        (["check", "fashion-mnist", "--data-dir", "."], ["cannot download 'fashion-mnist'", "no network"]),
        (["predict", "x", "y", "--top", "0"], ["top is 0"]),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, words) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.chdir(tmp_path)
    assert alexnet(*arguments) == 1
    line = one_error(capsys)
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_bad_tables_archives_and_splits_are_one_line(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_image_folder(tmp_path / "photos" / "train", n_each=3)
    make_image_folder(tmp_path / "photos" / "test", n_each=1)
    (tmp_path / "photos" / "test" / "red").rename(tmp_path / "photos" / "test" / "rouge")
    archive = Path(shutil.make_archive("photos", "gztar", "photos"))
    archive.write_bytes(archive.read_bytes()[:5000])
    (tmp_path / "gone.csv").write_text("path,label\nphotos/train/red/photo 0.jpg,a\nphotos/gone.jpg,b\n")
    (tmp_path / "columns.csv").write_text("width,height\n3,4\n")
    with zipfile.ZipFile("evil.zip", "w") as file:
        file.writestr("../evil/a.jpg", "x")
    before = sorted(tmp_path.rglob("*"))
    for data, words in (
        ("photos", ["'rouge' in test only"]),
        ("photos.tar.gz", ["cut off or damaged"]),
        ("gone.csv", ["row 2 (line 3)", "photos/gone.jpg"]),
        ("columns.csv", ["no column path"]),
        ("evil.zip", ["'../evil/a.jpg'", "a path out of the archive"]),
    ):
        assert alexnet("train", data, "--out", "run", *QUICK) == 1
        line = one_error(capsys)
        assert all(word in line for word in words), line
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_data_is_one_line(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heic" / "cats").mkdir(parents=True)
    (tmp_path / "heic" / "cats" / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert alexnet("check", "heic") == 1
    assert "HEIC inside; pip install pillow-heif, or convert it to JPEG" in " ".join(capsys.readouterr().out.split())
    coloured_image("red", 0).save(tmp_path / "heic" / "cats" / "a.png")
    (tmp_path / "heic" / "dogs").mkdir()
    (tmp_path / "heic" / "dogs" / "IMG 1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    assert alexnet("train", "heic") == 1
    assert "images of one class only ('cats')" in (line := one_error(capsys))
    assert "2 cannot be read, the first is 'cats/a.heic': HEIC inside; pip install pillow-heif" in line

    (tmp_path / "one" / "cats").mkdir(parents=True)
    coloured_image("red", 0).save(tmp_path / "one" / "cats" / "a.png")
    assert alexnet("train", "one") == 1
    assert "one class only ('cats')" in one_error(capsys)

    assert alexnet("train", "--resume", "one") == 1
    assert "not a run folder" in one_error(capsys)
    assert not (tmp_path / "runs").exists()


def test_another_run_is_never_overwritten(capsys, trained_run, image_folder) -> None:
    assert alexnet("train", image_folder, "--out", trained_run, *QUICK) == 1
    assert "never overwritten" in one_error(capsys)


def test_a_suggested_command_can_be_pasted_into_a_shell(capsys, tmp_path) -> None:
    run = tmp_path / "the cat's  run; $HOME"
    (run / "checkpoint").mkdir(parents=True)
    assert alexnet("predict", run, "a.jpg") == 1
    command = one_error(capsys).partition("finish it with: ")[2]
    assert shlex.split(command) == ["alexnet", "train", "--resume", str(run)]

    (run / "settings.json").write_text("{}")
    assert alexnet("train", "digits", "--out", run) == 1
    assert shlex.split(one_error(capsys).partition("continue it with ")[2]) == ["--resume", str(run)]


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(capsys, image_folder, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert alexnet("train", image_folder, "--out", tmp_path / "run", *QUICK) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: cannot write ")
    assert "No space left on device" in error
    assert not list((tmp_path / "run" / "checkpoint").iterdir())


def test_imperfect_data_is_warned_of_and_learned_from(capsys, tmp_path) -> None:
    for split in ("train", "val"):
        make_image_folder(tmp_path / "photos" / split, n_each=6)
    shutil.rmtree(tmp_path / "photos" / "val" / "green")
    (tmp_path / "photos" / "train" / "yellow").mkdir()
    (tmp_path / "photos" / "train" / "red" / "photo 1.jpg").write_bytes(b"broken")
    assert alexnet("train", tmp_path / "photos", "--out", tmp_path / "run", *QUICK) == 0
    err = capsys.readouterr().err
    assert "warning: class 'yellow' has no images" in err
    assert "warning: val has no images of 'green'" in err
    assert "warning: skipped train/red/photo 1.jpg: not an image in a known format" in err
    assert "skipped 1 unreadable image" in err
    assert "17 train, 12 val and 0 test images of 4 classes" in err
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["classes"] == ["blue", "green", "red", "yellow"]


def test_prepare_says_where_and_clears(capsys, image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    assert alexnet("prepare", "--where") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cache'}  0 MB\n"
    assert alexnet("prepare", image_folder, "--size", "60") == 0
    out = capsys.readouterr().out
    assert "120 images of 3 classes, 60 px, 1 MB" in out
    assert Path(out.split("prepared in ")[1].strip()).is_dir()
    assert alexnet("prepare", "--where") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cache'}  1 MB\n"
    assert alexnet("prepare", "--clear") == 0
    assert capsys.readouterr().out.startswith("deleted 1 MB of prepared images")
    assert not list((tmp_path / "cache").rglob("*"))


def test_check_finds_copies_and_says_so_by_its_status(capsys, tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=4)
    assert alexnet("check", image_folder) == 0
    assert "12 usable images" in capsys.readouterr().out
    shutil.copy(image_folder / "red" / "photo 1.jpg", image_folder / "blue" / "wrong.jpg")
    (image_folder / "red" / "half.jpg").write_bytes((image_folder / "red" / "photo 1.jpg").read_bytes()[:300])
    assert alexnet("check", image_folder) == 1
    out = capsys.readouterr().out
    assert "two labels" in out
    assert "half.jpg" in out

    assert alexnet("check", image_folder, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["usable", "unusable", "warnings", "classes"]
    assert report["usable"] == 13
    assert [each["path"] for each in report["unusable"]] == ["red/half.jpg"]
    assert set(report["classes"]) == {"red", "green", "blue"}

    assert alexnet("check", image_folder, "--csv") == 1
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {(row["kind"], row["path"]) for row in rows} >= {
        ("unusable", "red/half.jpg"),
        ("two_labels", "blue/wrong.jpg"),
    }


def test_training_says_what_is_there_twice(capsys, tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=10)
    shutil.copy(image_folder / "red" / "photo 1.jpg", image_folder / "blue" / "wrong.jpg")
    assert alexnet("train", image_folder, "--out", tmp_path / "run", *QUICK) == 0
    err = capsys.readouterr().err
    assert "warning: 'blue/wrong.jpg', 'red/photo 1.jpg': " in err


@pytest.mark.parametrize("kind", ["zip", "csv", "grey", "pad"])
def test_train_and_evaluate_from_other_data(capsys, image_folder, tmp_path, kind) -> None:
    data, more = image_folder, ()
    if kind == "zip":
        data = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", image_folder))
    elif kind == "csv":
        rows = [
            f"photos/{path.relative_to(image_folder)},{path.parent.name}"
            for path in sorted(image_folder.rglob("*.jpg"))
        ]
        data = image_folder.parent / "labels.csv"
        data.write_text("path,label\n" + "\n".join(rows))
    else:
        more = ("--in-channels", 1, "--crop", "paper") if kind == "grey" else ("--resize", "pad", "--mixup", "0.2")
    assert alexnet("train", data, "--out", tmp_path / "run", *QUICK, *more) == 0
    capsys.readouterr()
    assert alexnet("evaluate", tmp_path / "run", "--json") == 0
    own = json.loads(capsys.readouterr().out)
    assert own["n_images"] == 12
    image = image_folder / "red" / "photo 3.jpg"
    assert alexnet("predict", tmp_path / "run", image, "--format", "json") == 0
    assert "predictions" in json.loads(capsys.readouterr().out)
    assert alexnet("predict", tmp_path / "run", image, "--max-pixels", 100, "--format", "json") == 1
    assert "2,400" not in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["preprocessing"]["resize"] == ("pad" if kind == "pad" else "squash")
    assert len(config["preprocessing"]["mean"]) == (1 if kind == "grey" else 3)


# evaluate and predict


def test_evaluate_shows_tables(capsys, trained_run) -> None:
    assert alexnet("evaluate", trained_run) == 0
    out = capsys.readouterr().out
    assert "12 test images" in out
    assert "top-1" in out
    assert "top-5" not in out, "three classes are always among the five most probable"
    assert "true \\ predicted" in out


def test_evaluate_looks_ten_times(capsys, trained_run) -> None:
    assert alexnet("evaluate", trained_run, "--views", "10") == 0
    assert "12 test images" in (out := capsys.readouterr().out)
    assert ", 10 views of each\n" in out


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_damaged_model_is_one_line(capsys, trained_run, tmp_path, image_folder, damage) -> None:
    folder = Path(shutil.copytree(trained_run / "model", tmp_path / "model"))
    weights = folder / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000] if damage == "truncated" else b"PK\x03\x04 a zip file")
    for arguments in (("predict", folder, image_folder), ("evaluate", folder, image_folder)):
        assert alexnet(*arguments) == 1
        assert str(folder) in one_error(capsys)


def test_one_bad_image_never_stops_the_others(capsys, trained_run, image_folder, tmp_path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    good = image_folder / "red" / "photo 1.jpg"
    assert alexnet("predict", trained_run, good, tmp_path / "bad.jpg", good, "--format", "json") == 1
    first, bad, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == last
    assert bad == {"path": str(tmp_path / "bad.jpg"), "error": "not an image in a known format"}


def test_csv_and_words(capsys, trained_run, image_folder) -> None:
    assert alexnet("predict", trained_run, image_folder / "red", "--format", "csv", "--top", 2) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 40
    assert list(rows[0]) == ["path", "label_1", "probability_1", "label_2", "probability_2", "error"]
    assert alexnet("predict", trained_run, image_folder / "red" / "photo 2.jpg") == 0
    assert "photo 2.jpg  red " in capsys.readouterr().out


# Stopping and going on, in processes of their own


# With a checkpoint after every step.
OFTEN = ("--variant", "batchnorm", "--image-size", 67, "--batch-size", 8, "--checkpoint-minutes", 1e-9)


def wait_for_an_epoch(run: Path, process: Forked) -> None:
    """Wait until a checkpoint has a whole epoch behind it."""
    while not any(path.name >= "000001" for path in run.glob("checkpoint/0*")):
        assert process.returncode is None, process.communicate()
        time.sleep(0.02)


def test_a_server_that_says_nothing_is_given_up(monkeypatch, tmp_path, capsys) -> None:
    """torchvision would wait forever; how long to wait can only be set for a whole process, and this one is ours."""
    monkeypatch.setattr("alexnet.files.download.SERVER_SECONDS", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/cifar.tar.gz"
        monkeypatch.setattr("torchvision.datasets.CIFAR10.url", address)
        assert alexnet("check", "cifar10", "--data-dir", tmp_path / "sets") == 1
    assert "cannot download 'cifar10'" in one_error(capsys)
    assert not (tmp_path / "sets").exists()


def test_a_network_of_nan_scores_and_predicts_nothing(trained_run, image_folder, tmp_path, capsys) -> None:
    model = shutil.copytree(trained_run / "model", tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    spoilt = {name: each * float("nan") if each.is_floating_point() else each for name, each in weights.items()}
    save_file(spoilt, model / "model.safetensors")
    for arguments in (
        ("evaluate", model, image_folder, "--json"),
        ("predict", model, image_folder / "red", "--format", "json"),
    ):
        assert alexnet(*arguments) == 1
        assert "holds NaN or infinity" in one_error(capsys)


def test_json_never_holds_nan() -> None:
    result = ImagePredictions("a.jpg", (Prediction("cat", float("nan")),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        prediction_lines("json", 1)(result)


def test_a_phones_folder_names_what_it_leaves_out(trained_run, image_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    shutil.copyfile(image_folder / "red" / "photo 1.jpg", tmp_path / "IMG_1.JPG")
    shutil.copyfile(image_folder / "red" / "photo 2.jpg", tmp_path / "IMG_2.HEIC")
    (tmp_path / "notes.txt").write_text("no image")
    assert alexnet("predict", trained_run, tmp_path, "--format", "json") == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["path"] for line in out.splitlines()] == [
        str(tmp_path / name) for name in ("IMG_1.JPG", "IMG_2.HEIC")
    ]
    assert err == f"warning: left out, not an image: {str(tmp_path / 'notes.txt')!r}\n"

    (tmp_path / "IMG_3.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    for given in (tmp_path, tmp_path / "IMG_3.HEIC"):
        assert alexnet("predict", trained_run, given, "--format", "json") == 1
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        words = "HEIC inside; pip install pillow-heif, or convert it to JPEG"
        assert last == {"path": str(tmp_path / "IMG_3.HEIC"), "error": words}


def test_killed_and_resumed_it_ends(image_folder, tmp_path, capsys) -> None:
    words = ("train", image_folder, "--out", "run", "--epochs", 3, *OFTEN)
    process = start(DYING, 0, "take", 15, 0.0, *words, cwd=tmp_path)  # in the second epoch of 12 steps
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run" / "model").exists()

    assert alexnet("predict", tmp_path / "run", image_folder) == 1
    assert "--resume" in one_error(capsys)
    assert alexnet("train", "--resume", tmp_path / "run", "--report", "off") == 0
    assert "resumed in epoch" in capsys.readouterr().err
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]
    assert alexnet("evaluate", tmp_path / "run") == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_stops(image_folder, tmp_path, number, status) -> None:
    process = start(SMALL, "train", image_folder, "--out", "run", "--epochs", 500, *OFTEN, cwd=tmp_path)
    wait_for_an_epoch(tmp_path / "run", process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == status
    assert "continue with: alexnet train --resume run" in err
    assert "Traceback" not in err
    newest = max(path.name for path in (tmp_path / "run" / "checkpoint").iterdir())
    assert newest > "000001-00000000"
