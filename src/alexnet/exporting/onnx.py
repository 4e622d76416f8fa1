"""ONNX: one file that ONNX Runtime, OpenVINO and others run. And OpenVINO's own folder, which is converted from it."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxscript import optimizer, rewriter
from onnxscript.rewriter.rules.common import collapse_slice2_rule, materialize_reshape_shape_rule

from alexnet.errors import SettingsError
from alexnet.exporting.graph import Graph
from alexnet.files.installed import is_installed
from alexnet.images.decoding import Pixels
from alexnet.inference.engines import quiet
from alexnet.inference.engines.outputs import OUTPUTS, Numbers
from alexnet.model.opening import METADATA, METADATA_FILE, OPENVINO_MODEL

OPSET = 20
# Protocol buffers end at 2 GB.
MOST_BYTES = 2**31 - 2**20


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """Return a network as an ONNX model of float32, for any number of images at a time.

    Raises:
        SettingsError: it is too large for one file.
    """
    n_bytes = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if n_bytes > MOST_BYTES:
        raise SettingsError(f"its weights have {n_bytes / 1e9:.1f} GB, and an ONNX file 2 GB at most; shrink it")
    with _silent("torch", "onnxscript", "onnx_ir"):
        program = torch.onnx.export(
            graph,
            (graph.example(),),
            input_names=["images"],
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: "N"},),
            verbose=False,
            # It would give equal tensors one name, and so rename one of two biases that are all zero.
            optimize=False,
        )
        assert program is not None
        optimizer.fold_constants(program.model, onnx_shape_inference=True)
        # Not all of its rules: one removes biases that are all zero.
        program.model = rewriter.rewrite(program.model, [materialize_reshape_shape_rule, collapse_slice2_rule])
        model = program.model_proto
    _strip(model)
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes for itself, such as paths on this machine."""
    graph = model.graph
    graph.name = "alexnet"
    del graph.value_info[:]
    for each in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")


def write_onnx(model: onnx.ModelProto, path: Path, metadata: str) -> None:
    """Write a model as one file that says what the network is."""
    onnx.helper.set_model_props(model, {METADATA: metadata})
    path.write_bytes(model.SerializeToString())


def write_openvino(model: onnx.ModelProto, folder: Path, metadata: str) -> None:
    """Write a model as a folder of OpenVINO: ``model.xml``, ``model.bin``, and what the network is as JSON.

    Weights keep the type that they have in the model.

    Raises:
        SettingsError: OpenVINO is not installed.
    """
    if not is_installed("openvino"):
        raise SettingsError("OpenVINO is not installed; pip install 'alexnet[openvino]'")
    openvino = quiet.openvino()
    folder.mkdir()
    network = openvino.Core().read_model(io.BytesIO(model.SerializeToString()))
    openvino.save_model(network, folder / OPENVINO_MODEL, compress_to_fp16=False)
    (folder / METADATA_FILE).write_text(metadata, encoding="utf-8")


def exact_probabilities(model: onnx.ModelProto, images: Pixels) -> Numbers:
    """Return probabilities ``(N, n_classes)`` as a model says: step by step, without the short cuts of any processor.

    Of an int8 model, each step is computed in float32 and then rounded to eight bits. A processor that adds products of
    eight bits in sixteen may saturate, and return others.

    Args:
        model: the model.
        images: ``(N, image_size, image_size, C)`` uint8.
    """
    runtime = quiet.onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # only errors
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"images": images})[0])


@contextmanager
def _silent(*loggers: str) -> Iterator[None]:
    """Keep warnings of the exporter off the screen: what it makes is compared with the original."""
    before = {name: logging.getLogger(name).level for name in loggers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
