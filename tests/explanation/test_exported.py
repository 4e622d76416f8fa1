"""Exported files hold all that Grad-CAM needs, under the names of the network's state dict."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from alexnet.explanation.gradcam import Head, class_maps
from alexnet.exporting.graph import Graph
from alexnet.exporting.onnx import to_onnx, write_onnx, write_openvino
from alexnet.inference.engines import quiet
from alexnet.inference.engines.openvino_weights import weights_of
from alexnet.model.onnx_file import OnnxFile

from ..exporting.networks import artifact_of, as_trained, pixels_for
from .test_gradcam import NETS


@pytest.mark.parametrize("name", ["batch norm after the pool", "maps smaller than the grid", "every window hangs over"])
def test_maps_of_exported_weights_equal_those_of_the_network(name, tmp_path: Path) -> None:
    net = NETS[name]
    model = as_trained(net)
    graph = to_onnx(Graph(model, artifact_of(net)))
    write_onnx(graph, tmp_path / "x.onnx", "{}")
    write_openvino(graph, tmp_path / "x", "{}")
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"))
    (maps,) = session.run(["maps"], {"images": pixels_for(net, 4)})
    own = {key: each.numpy() for key, each in model.state_dict().items()}
    classes = np.array([0, 6, 3, 3])
    expected = class_maps(Head.of(net, own), maps, classes)
    assert expected.max() > 0
    network = quiet.openvino().Core().read_model(tmp_path / "x" / "model.xml")
    for weights in (OnnxFile(tmp_path / "x.onnx").weights(), weights_of(network)):
        assert np.abs(class_maps(Head.of(net, weights), maps, classes) - expected).max() < 1e-6 * expected.max()
