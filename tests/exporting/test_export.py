import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from alexnet import evaluate, export, load
from alexnet.errors import ArtifactError, SettingsError
from alexnet.exporting import export as room
from alexnet.exporting import onnx as writing
from alexnet.exporting.low_rank import Shrunk
from alexnet.exporting.onnx import to_onnx
from alexnet.files.installed import is_installed
from alexnet.inference.engines.engine import open_engine
from alexnet.model.opening import load_artifact

CHOICES = {
    "onnx": {},
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "shrunk": {"shrink": True, "max_loss": 0.2},
    "shrunk int8": {"shrink": True, "max_loss": 0.2, "precision": "int8"},
    "openvino": {"format": "openvino"},
    "openvino int8": {"format": "openvino", "precision": "int8"},
    "torch": {"format": "torch"},
}
ENDINGS = {"openvino": "-openvino", "torch": ".pt2"}


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", CHOICES)
def test_an_export_predicts_like_its_original(name, trained_run, image_folder, tmp_path) -> None:
    choice = CHOICES[name]
    format_ = choice.get("format", "onnx")
    if format_ == "openvino" and not is_installed("openvino"):
        pytest.skip("needs OpenVINO")
    out = tmp_path / f"photos{ENDINGS.get(format_, '.onnx')}"
    before = {path: path.stat().st_mtime_ns for path in trained_run.rglob("*")}
    done = export(trained_run, out=out, **choice)
    assert {path: path.stat().st_mtime_ns for path in trained_run.rglob("*")} == before, "the run is left as it was"
    assert done.path == out
    assert left_in(tmp_path) == sorted([out.name, f"{out.name}.json"])
    if format_ != "torch":
        made = load_artifact(out).export
        assert (made.format, made.precision) == (format_, choice.get("precision", "fp32"))
        assert bool(made.ranks) == choice.get("shrink", False)

    comparison = done.comparison
    assert json.loads((tmp_path / f"{out.name}.json").read_text())["agreement"] == comparison.agreement
    assert comparison.n_images == 12
    assert comparison.top1_before == evaluate(trained_run).scores.top1
    assert comparison.n_bytes == sum(path.stat().st_size for path in (out, *out.rglob("*")) if path.is_file())
    if "precision" in choice:
        # Of a network so small, what an export says of itself is a fifth.
        assert comparison.n_bytes < 0.7 * comparison.n_bytes_before

    if format_ == "torch":
        return
    images = [image_folder / label / f"photo {number}.jpg" for label in ("blue", "green", "red") for number in range(5)]
    mine, theirs = ([each.label for each in load(model).predict(images)] for model in (out, trained_run))
    assert np.mean([a == b for a, b in zip(mine, theirs, strict=True)]) >= 0.9


def test_permissions_follow_the_umask(trained_run, tmp_path) -> None:
    before = os.umask(0o022)
    try:
        done = export(trained_run, "torch", out=tmp_path / "x.pt2")
    finally:
        os.umask(before)
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o644


def with_swapped_channels(graph) -> onnx.ModelProto:
    """Return a network that takes blue for red."""
    model = to_onnx(graph)
    for tensor in model.graph.initializer:
        if tensor.name == "conv1.conv.weight":
            swapped = np.ascontiguousarray(numpy_helper.to_array(tensor)[:, ::-1])
            tensor.CopyFrom(numpy_helper.from_array(swapped, tensor.name))
    return model


@pytest.mark.parametrize("force", [False, True])
def test_an_export_with_swapped_channels_is_refused_and_leaves_nothing(
    force, trained_run, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(room, "to_onnx", with_swapped_channels)
    if not force:
        with pytest.raises(ArtifactError, match=r"export refused: the top-1 of \d+ of 12 images changes .*--force"):
            export(trained_run, out=tmp_path / "x.onnx")
        assert left_in(tmp_path) == []
    else:
        done = export(trained_run, out=tmp_path / "x.onnx", force=True)
        assert done.notes[-1].startswith("it falls short of its original: the top-1 of ")
        assert left_in(tmp_path) == ["x.onnx", "x.onnx.json"]


def test_a_shrunk_export_with_swapped_channels_is_refused_whatever_it_loses(trained_run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "to_onnx", with_swapped_channels)
    with pytest.raises(ArtifactError, match="the ONNX file computes other probabilities than the shrunk network"):
        export(trained_run, shrink=True, max_loss=1.0, out=tmp_path / "x.onnx")
    assert left_in(tmp_path) == []


def test_a_network_that_stayed_whole_has_the_limits_of_a_whole_one(trained_run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "shrink_graph", lambda *_, **__: Shrunk(notes=("it stays whole",)))
    monkeypatch.setattr(room, "to_onnx", with_swapped_channels)
    with pytest.raises(ArtifactError, match=r"export refused: the top-1 of \d+ of 12 images changes"):
        export(trained_run, shrink=True, max_loss=1.0, out=tmp_path / "x.onnx")


def test_a_file_whose_channels_were_swapped_later_is_refused_by_its_self_test(exported_run, tmp_path) -> None:
    model = onnx.load(exported_run)
    for tensor in model.graph.initializer:
        if tensor.name == "conv1.conv.weight":
            swapped = np.ascontiguousarray(numpy_helper.to_array(tensor)[:, ::-1])
            tensor.CopyFrom(numpy_helper.from_array(swapped, tensor.name))
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match="fails its own test on this machine"):
        open_engine(load_artifact(tmp_path / "x.onnx"))


@pytest.mark.parametrize("when", ["while it is made", "while it is compared"])
def test_a_stopped_export_leaves_the_older_one(when, exported_run, trained_run, tmp_path, monkeypatch) -> None:
    out = tmp_path / "x.onnx"
    for path in (exported_run, exported_run.with_name(f"{exported_run.name}.json")):
        shutil.copyfile(path, tmp_path / path.name.replace(exported_run.name, out.name))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "write_onnx" if when == "while it is made" else "compare", stop)
    with pytest.raises(KeyboardInterrupt):
        export(trained_run, out=out)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_older_export_is_replaced(exported_run, trained_run, tmp_path) -> None:
    out = tmp_path / "x.onnx"
    shutil.copyfile(exported_run, out)
    export(trained_run, precision="fp16", out=out)
    assert load_artifact(out).export.precision == "fp16"
    assert left_in(tmp_path) == ["x.onnx", "x.onnx.json"]


@pytest.mark.skipif(not is_installed("openvino"), reason="needs OpenVINO")
def test_an_older_folder_is_replaced(trained_run, tmp_path) -> None:
    for precision in ("fp32", "int8"):
        export(trained_run, "openvino", precision=precision, out=tmp_path / "x")
    assert load_artifact(tmp_path / "x").export.precision == "int8"
    assert left_in(tmp_path) == ["x", "x.json"]
    assert left_in(tmp_path / "x") == ["alexnet.json", "model.bin", "model.xml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "tflite"}, "unknown format 'tflite'; known: onnx, openvino, torch, web"),
        ({"precision": "int4"}, "unknown precision 'int4'; did you mean 'int8'"),
        ({"format": "torch", "precision": "int8"}, "torch is float32 only; leave out --int8, or use --format onnx"),
        ({"format": "web", "precision": "fp16"}, "web always has weights of eight bits; leave out --fp16"),
        ({"shrink": True, "max_loss": 1.5}, r"max_loss is 1\.5; it is a share"),
    ],
)
def test_options_that_do_not_fit_are_refused(trained_run, tmp_path, options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        export(trained_run, **options, out=tmp_path / "x.onnx")


def test_what_is_not_installed_is_named(trained_run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "is_installed", lambda name: False)
    with pytest.raises(SettingsError, match=r"OpenVINO is not installed; pip install 'alexnet\[openvino\]'"):
        export(trained_run, "openvino", out=tmp_path / "x")
    assert left_in(tmp_path) == []


def test_what_was_trained_on_is_still_known(exported_run, trained_run) -> None:
    """So an export, too, is never evaluated on images that it learned from."""
    assert load_artifact(exported_run).seen == load_artifact(trained_run).seen
