import logging
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from alexnet.errors import SettingsError
from alexnet.exporting import onnx as exporting
from alexnet.exporting.onnx import exact_probabilities, to_onnx, write_onnx, write_openvino
from alexnet.exporting.quantisation import to_float16
from alexnet.files.installed import is_installed
from alexnet.inference.engines import quiet
from alexnet.inference.engines.outputs import OUTPUTS

from .networks import NETS, graph_of, onnx_of, pixels_for

needs_openvino = pytest.mark.skipif(not is_installed("openvino"), reason="needs OpenVINO")


def run(content: bytes, pixels: np.ndarray) -> list[np.ndarray]:
    session = quiet.onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": pixels})


# They have no layer that the others lack.
REPEATED = {"original", "caffenet", "torchvision", "batchnorm", "batchnorm at 300 px"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in REPEATED else name for name in NETS]
)
def test_onnx_runtime_computes_what_torch_computes(name) -> None:
    net = NETS[name]
    graph, model = graph_of(net), onnx_of(name)
    for n in (1, 3):
        pixels = pixels_for(net, n)
        found = run(model.SerializeToString(), pixels)
        for mine, theirs in zip(found, graph(torch.from_numpy(pixels)), strict=True):
            assert mine.shape == tuple(theirs.shape)
            np.testing.assert_allclose(mine, theirs, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(found[0], graph.probabilities(pixels), atol=1e-5)
    names = {each for each in graph.state_dict() if re.fullmatch(r".*\.(conv|linear)\.(weight|bias)", each)}
    assert names <= {each.name for each in model.graph.initializer}


def test_the_exporter_says_nothing(capfd, caplog) -> None:
    to_onnx(graph_of(NETS["own"]))
    assert capfd.readouterr() == ("", "")
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_inputs_and_outputs_have_the_agreed_names() -> None:
    model = onnx_of("small")
    assert [each.name for each in model.graph.input] == ["images"]
    assert tuple(each.name for each in model.graph.output) == OUTPUTS
    assert {each.domain or "ai.onnx": each.version for each in model.opset_import} == {"ai.onnx": 20}


def test_tensors_keep_their_names_even_if_some_are_equal() -> None:
    graph = graph_of(NETS["small"])
    for layer in graph.children():
        torch.nn.init.zeros_(layer[0].bias)
    assert set(graph.state_dict()) <= {each.name for each in to_onnx(graph).graph.initializer}


def test_nothing_in_it_tells_of_this_machine() -> None:
    content = onnx_of("batchnorm").SerializeToString()
    for place in (str(Path.cwd()), str(Path(torch.__file__).parent), "site-packages", "graph.py"):
        assert place.encode() not in content


def test_a_network_too_large_for_a_file_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(exporting, "MOST_BYTES", 1000)
    with pytest.raises(SettingsError, match="an ONNX file 2 GB at most"):
        to_onnx(graph_of(NETS["small"]))


def test_float16_is_half_as_large_and_nearly_the_same() -> None:
    net = NETS["batchnorm at 67 px"]
    graph, pixels = graph_of(net), pixels_for(net, 4)
    whole = onnx_of("batchnorm at 67 px")
    before = whole.SerializeToString()
    halved = to_float16(whole)
    content = halved.SerializeToString()
    assert whole.SerializeToString() == before, "the model given is not changed"
    assert len(content) < 0.6 * len(before)
    found, exact = run(content, pixels)[0], graph.probabilities(pixels)
    np.testing.assert_allclose(found, exact, atol=1e-2)
    assert not np.array_equal(found, exact)
    np.testing.assert_allclose(exact_probabilities(halved, pixels), found, atol=1e-5)


@needs_openvino
@pytest.mark.parametrize("name", ["batchnorm at 67 px", "paper+grey", "own", "program", "original at 84 px"])
def test_openvino_computes_what_torch_computes(name, tmp_path) -> None:
    openvino = quiet.openvino()
    net = NETS[name]
    graph, pixels = graph_of(net), pixels_for(net, 3)
    write_openvino(onnx_of(name), tmp_path / "net", "{}")
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["alexnet.json", "model.bin", "model.xml"]
    assert str(tmp_path) not in (tmp_path / "net" / "model.xml").read_text()
    compiled = openvino.Core().compile_model(tmp_path / "net" / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([pixels])
    for output, theirs in zip(OUTPUTS, graph(torch.from_numpy(pixels)), strict=True):
        np.testing.assert_allclose(found[output], theirs, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(found["probabilities"], graph.probabilities(pixels), atol=1e-5)


@needs_openvino
def test_openvino_keeps_small_weights_small(tmp_path) -> None:
    model = onnx_of("small")
    for name, each in (("whole", model), ("halved", to_float16(model))):
        write_openvino(each, tmp_path / name, "{}")
    whole, halved = ((tmp_path / name / "model.bin").stat().st_size for name in ("whole", "halved"))
    assert halved < 0.6 * whole


def test_the_metadata_is_one_text_that_replaces_others(tmp_path) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(onnx_of("small"))
    write_onnx(model, tmp_path / "net.onnx", "first")
    write_onnx(model, tmp_path / "net.onnx", '{"a": 1}')
    session = quiet.onnxruntime().InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"alexnet": '{"a": 1}'}
