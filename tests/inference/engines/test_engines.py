"""Each engine computes what the network is, in every format it runs; else it refuses, in one line."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import ArtifactError, SettingsError
from alexnet.inference.engines import engine as engine_module
from alexnet.inference.engines.engine import choose_engine, open_engine
from alexnet.model.artifact import config_of
from alexnet.model.opening import load_artifact

from ...exports import (
    artifact_at,
    as_stored,
    compute,
    factorised,
    onnx_bytes,
    random_images,
    random_weights,
    write_onnx,
)

WEIGHTS = random_weights()
IMAGES = random_images(5)
# The format, the engine, and the precision of the weights.
ALL = [
    ("folder", "torch", "fp32"),
    ("onnx", "onnxruntime", "fp32"),
    ("onnx", "openvino", "fp32"),
    ("openvino", "openvino", "fp32"),
    ("fp16", "onnxruntime", "fp16"),
    ("fp16", "openvino", "fp16"),
    ("openvino-fp16", "openvino", "fp16"),
    ("int8", "onnxruntime", "int8"),
    ("int8", "openvino", "int8"),
    ("openvino-int8", "openvino", "int8"),
]


def refused_here(name: str, precision: str) -> bool:
    """With the matrix units of some processors, OpenVINO's 8-bit results differ, and the export's own test refuses."""
    cpu = Path("/proc/cpuinfo")
    return (name, precision) == ("openvino", "int8") and cpu.exists() and "amx_int8" in cpu.read_text(encoding="utf-8")


@pytest.fixture
def accepted_here(name: str, precision: str) -> None:
    if refused_here(name, precision):
        pytest.skip("OpenVINO's 8-bit results differ on this processor")


@pytest.mark.usefixtures("accepted_here")
@pytest.mark.parametrize(("kind", "name", "precision"), ALL)
def test_every_engine_computes_all_outputs(exports, kind, name, precision) -> None:
    engine = open_engine(load_artifact(exports[kind]), name)
    expected = compute(as_stored(WEIGHTS, precision), IMAGES)
    for output in ("logits", "embeddings", "maps"):
        found = getattr(engine, output)(IMAGES)
        assert found.dtype == np.float32
        assert found.shape == expected[output].shape
        assert np.abs(found - expected[output]).max() < 2e-5, output
    assert engine.name == name
    assert precision in engine.title


@pytest.mark.usefixtures("accepted_here")
@pytest.mark.parametrize(("kind", "name", "precision"), ALL)
def test_every_engine_gives_the_weights_by_their_names(exports, kind, name, precision) -> None:
    found = open_engine(load_artifact(exports[kind]), name).weights()
    for weight, expected in as_stored(WEIGHTS, precision).items():
        assert found[weight].dtype == np.float32
        assert np.allclose(found[weight].reshape(expected.shape), expected, rtol=1e-6, atol=1e-7), weight


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_layer_of_two_factors_is_run_and_its_weights_are_given(tmp_path, name) -> None:
    weights = factorised(WEIGHTS, 3)
    engine = open_engine(load_artifact(write_onnx(tmp_path / "x.onnx", weights)), name)
    assert np.abs(engine.logits(IMAGES) - compute(weights, IMAGES)["logits"]).max() < 2e-5
    assert engine.weights()["fc2.linear.0.weight"].shape == (3, 216)


@pytest.mark.parametrize(("kind", "name", "precision"), ALL[:5])
def test_other_images_in_the_batch_and_its_size_change_nothing(exports, kind, name, precision) -> None:
    engine = open_engine(load_artifact(exports[kind]), name)
    images = random_images(70, seed=3)
    alone = np.concatenate([engine.logits(images[i : i + 1]) for i in (0, 1, 69)])
    assert np.abs(engine.logits(images)[[0, 1, 69]] - alone).max() < 1e-5


@pytest.mark.parametrize(("kind", "name"), [("folder", "torch"), ("onnx", "onnxruntime"), ("onnx", "openvino")])
def test_several_threads_may_use_an_engine(exports, kind, name) -> None:
    engine = open_engine(load_artifact(exports[kind]), name, n_threads=1)
    images = random_images(40, seed=4)
    expected = engine.logits(images)
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = engine.logits(images[number * 10 : (number + 1) * 10])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.abs(np.concatenate([found[number] for number in range(4)]) - expected).max() < 1e-5


def test_torch_computes_with_as_many_threads_as_are_asked_for(exports) -> None:
    import torch

    engine = open_engine(load_artifact(exports["folder"]), n_threads=2)
    before, during = torch.get_num_threads(), []
    engine.model.register_forward_hook(lambda *_: during.append(torch.get_num_threads()))
    engine.logits(IMAGES)
    assert (during, torch.get_num_threads()) == ([2], before)


# The choice


@pytest.mark.parametrize(
    ("kind", "installed", "chosen"),
    [
        ("folder", "torch onnxruntime openvino", "torch"),
        ("onnx", "torch onnxruntime openvino", "onnxruntime"),
        ("onnx", "torch openvino", "openvino"),
        ("openvino", "torch onnxruntime openvino", "openvino"),
    ],
)
def test_the_fastest_engine_that_is_installed_is_chosen(exports, monkeypatch, kind, installed, chosen) -> None:
    monkeypatch.setattr(engine_module, "is_installed", lambda name: name in installed.split())
    assert choose_engine(load_artifact(exports[kind])) == chosen


@pytest.mark.parametrize(
    ("kind", "installed", "engine", "message"),
    [
        ("folder", "torch openvino", "openvino", r"openvino cannot run '.*small'; export it first, .*: alexnet export"),
        ("onnx", "torch", "torch", r"torch cannot run '.*small\.onnx'; use onnxruntime or openvino"),
        ("openvino", "onnxruntime", "onnxruntime", r"onnxruntime cannot run '.*openvino'; use openvino"),
        ("onnx", "torch", "auto", r"needs onnxruntime or openvino, which is not .*: pip install onnxruntime$"),
        ("onnx", "onnxruntime", "openvino", r"needs openvino, which is not installed; .*: pip install openvino$"),
        ("folder", "onnxruntime", "auto", r"is a model folder, which needs torch; .*: pip install alexnet; or export"),
        ("onnx", "onnxruntime", "x", r"unknown engine 'x'; known: auto, onnxruntime, openvino, torch"),
    ],
)
def test_what_cannot_run_is_refused_with_what_to_do(exports, monkeypatch, kind, installed, engine, message) -> None:
    monkeypatch.setattr(engine_module, "is_installed", lambda name: name in installed.split())
    with pytest.raises(SettingsError, match=message):
        open_engine(load_artifact(exports[kind]), engine)


# What an export says of itself


def swapped(weights):
    """Swap red and blue."""
    return {**weights, "conv1.conv.weight": weights["conv1.conv.weight"][:, ::-1]}


def nudged(weights):
    """Change one bias, as a damaged bit may."""
    bias = weights["fc3.linear.bias"].copy()
    bias[1] += 0.01
    return {**weights, "fc3.linear.bias": bias}


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("change", [swapped, nudged])
def test_an_export_that_predicts_something_else_is_refused(tmp_path, name, change) -> None:
    artifact = load_artifact(write_onnx(tmp_path / "x.onnx", WEIGHTS, change=change))
    with pytest.raises(ArtifactError, match=r"x\.onnx' fails its own test on this machine: .* for the class '\w+' of"):
        open_engine(artifact, name)


def test_a_wider_tolerance_accepts_more(tmp_path) -> None:
    path = write_onnx(tmp_path / "x.onnx", WEIGHTS, "int8", change=nudged, tolerance=0.05)
    assert open_engine(load_artifact(path)).name == "onnxruntime"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_network_that_outputs_nan_is_refused(tmp_path, name) -> None:
    huge = {"fc3.linear.bias": np.full(3, np.inf, np.float32)}
    artifact = load_artifact(write_onnx(tmp_path / "x.onnx", WEIGHTS, change=lambda weights: {**weights, **huge}))
    with pytest.raises(ArtifactError, match="outputs NaN or infinity"):
        open_engine(artifact, name)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_file_that_an_engine_cannot_load_is_refused_in_one_line(exports, tmp_path, capfd, name) -> None:
    """Its metadata are whole: they are found before the network is loaded."""
    whole = exports["onnx"].read_bytes()
    for old, new in ((b"MaxPool", b"MaxPole"), (b"\x06logits", b"\x06tigols")):
        (tmp_path / "x.onnx").write_bytes(whole.replace(old, new))
        with pytest.raises(ArtifactError, match=r"(ONNX Runtime|OpenVINO) cannot load '.*x\.onnx' \("):
            open_engine(load_artifact(tmp_path / "x.onnx"), name)
    assert capfd.readouterr() == ("", "")


def test_an_export_for_other_images_is_refused(tmp_path) -> None:
    """Its metadata are of a network that takes other images."""
    artifact = artifact_at(tmp_path / "x.onnx", WEIGHTS, "onnx", "fp32")
    test = replace(artifact.export.self_test, images=artifact.export.self_test.images[:, :30, :30])
    artifact = replace(
        artifact,
        architecture=replace(artifact.architecture, image_size=30),
        export=replace(artifact.export, self_test=test),
    )
    metadata = {"alexnet": json.dumps(config_of(artifact))}
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(WEIGHTS, "fp32", metadata))
    for name in ("onnxruntime", "openvino"):
        with pytest.raises(ArtifactError, match=r"cannot run '.*x\.onnx' \("):
            open_engine(load_artifact(tmp_path / "x.onnx"), name)


def test_nothing_is_written_beside_an_export(exports, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(Path(exports["onnx"].parent).rglob("*"))
    for kind, name, precision in ALL:
        if not refused_here(name, precision):
            open_engine(load_artifact(exports[kind]), name).maps(IMAGES)
    assert sorted(Path(exports["onnx"].parent).rglob("*")) == before
    assert list(tmp_path.iterdir()) == []
