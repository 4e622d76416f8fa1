"""Small exported models, written without a training and without ``alexnet export``.

The network is computed here in numpy as well, so that what is expected comes from none of the engines.
"""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.images.preprocessing import MEAN, STD, Preprocessing
from alexnet.inference.engines import quiet
from alexnet.inference.probability import log_softmax
from alexnet.model.artifact import Artifact, Calibration, config_of, save_artifact
from alexnet.model.exported import Export, Format, Precision, SelfTest, enlarge
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, Pool

Weights = dict[str, np.ndarray]

CLASSES = ("blue", "green", "red")
TEMPERATURE = 1.3
SIZE = 32
NET = Architecture(
    layers=(Conv(channels=6, kernel=5, stride=2, pool=Pool()),), hidden=(8,), grid=6, n_classes=3, image_size=SIZE
)
# An output for each image: ``tests`` compare them by these names.
OUTPUTS = ("probabilities", "logits", "embeddings", "maps")


def random_weights(seed: int = 0) -> Weights:
    """Return weights by their names in the state dict, with which the classes differ from image to image."""
    randomness = np.random.default_rng(seed)
    shapes = {"conv1.conv": (6, 3, 5, 5), "fc2.linear": (8, 216), "fc3.linear": (3, 8)}
    weights = {}
    for name, shape in shapes.items():
        n_inputs = int(np.prod(shape[1:]))
        weights[f"{name}.weight"] = (randomness.normal(size=shape) * 2 / np.sqrt(n_inputs)).astype(np.float32)
        weights[f"{name}.bias"] = randomness.normal(size=shape[0]).astype(np.float32)
    return weights


def factorised(weights: Weights, rank: int) -> Weights:
    """Return weights whose layer fc2 consists of two factors."""
    left, values, right = np.linalg.svd(weights["fc2.linear.weight"], full_matrices=False)
    rest = {name: each for name, each in weights.items() if not name.startswith("fc2")}
    return {
        **rest,
        "fc2.linear.0.weight": np.float32(right[:rank]),
        "fc2.linear.0.bias": np.zeros(rank, np.float32),
        "fc2.linear.1.weight": np.float32(left[:, :rank] * values[:rank]),
        "fc2.linear.1.bias": weights["fc2.linear.bias"],
    }


def compute(weights: Weights, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return all outputs of the network for images ``(N, 32, 32, 3)`` uint8, computed in float64."""
    exact = {name: each.astype(np.float64) for name, each in weights.items()}
    images = ((pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    windows = np.lib.stride_tricks.sliding_window_view(images, (5, 5), axis=(2, 3))[:, :, ::2, ::2]
    maps = np.einsum("nchwij,kcij->nkhw", windows, exact["conv1.conv.weight"])
    maps = np.maximum(maps + exact["conv1.conv.bias"][:, None, None], 0)
    pooled = np.lib.stride_tricks.sliding_window_view(maps, (3, 3), axis=(2, 3))[:, :, ::2, ::2].max(axis=(4, 5))
    hidden = pooled.reshape(len(pixels), -1)
    for name in ("fc2.linear.0", "fc2.linear.1") if "fc2.linear.0.weight" in exact else ("fc2.linear",):
        hidden = hidden @ exact[f"{name}.weight"].T + exact[f"{name}.bias"]
    embeddings = np.maximum(hidden, 0)
    logits = embeddings @ exact["fc3.linear.weight"].T + exact["fc3.linear.bias"]
    probabilities = np.exp(log_softmax(logits, TEMPERATURE))
    return dict(zip(OUTPUTS, (probabilities, logits, embeddings, maps), strict=True))


def random_images(n: int, seed: int = 0) -> np.ndarray:
    """Return images ``(n, 32, 32, 3)`` of two colours each."""
    randomness = np.random.default_rng(seed)
    colours = randomness.integers(0, 256, (n, 2, 3))
    which = randomness.integers(0, 2, (n, SIZE // 2, SIZE // 2))
    return enlarge(np.uint8(colours[np.arange(n)[:, None, None], which]), SIZE)


def artifact_at(path: Path, weights: Weights, kind: Format, precision: Precision, tolerance: float = 1e-4) -> Artifact:
    """Return an export that says of itself what these weights compute."""
    images = random_images(8, seed=9)
    test = SelfTest(images, np.float32(compute(weights, images)["probabilities"]), tolerance)
    ranks = {"fc2": len(weights["fc2.linear.0.bias"])} if "fc2.linear.0.bias" in weights else {}
    return replace(folder_at(path), export=Export(kind, precision, ranks, test))


def folder_at(path: Path) -> Artifact:
    """Return the same model as a model folder that is not written yet."""
    return Artifact(
        folder=path,
        architecture=NET,
        classes=CLASSES,
        preprocessing=Preprocessing(store_size=36),
        provenance={"data": "photos"},
        calibration=Calibration(temperature=TEMPERATURE),
    )


def write_folder(path: Path, weights: Weights) -> Path:
    """Write a model folder."""
    import torch

    save_artifact(folder_at(path), {name: torch.from_numpy(each) for name, each in weights.items()}, "")
    return path


def write_onnx(
    path: Path,
    weights: Weights,
    precision: Precision = "fp32",
    *,
    change: Callable[[Weights], Weights] = dict,
    tolerance: float = 1e-4,
) -> Path:
    """Write an ``.onnx`` file.

    Args:
        path: the file.
        weights: the weights that its own test expects, as they are stored with this precision: see ``as_stored``.
        precision: of the weights.
        change: makes other weights of them, which the file then has.
        tolerance: that of its own test.
    """
    artifact = artifact_at(path, as_stored(weights, precision), "onnx", precision, tolerance)
    path.write_bytes(onnx_bytes(change(weights), precision, {"alexnet": json.dumps(config_of(artifact))}))
    return path


def as_stored(weights: Weights, precision: Precision) -> Weights:
    """Return weights as they are after they were stored with some precision."""
    if precision == "fp32":
        return weights
    if precision == "fp16":
        return {name: each.astype(np.float16).astype(np.float32) for name, each in weights.items()}
    return {name: np.multiply(*in_8_bits(each)) if each.ndim > 1 else each for name, each in weights.items()}


def in_8_bits(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a weight as 7-bit integers, and the scale of each of its rows, with as many axes as the weight."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).reshape(-1, *[1] * (weight.ndim - 1))
    scale = np.float32(largest / 63)
    return np.int8(np.round(weight / scale)), scale


def onnx_bytes(weights: Weights, precision: Precision, metadata: dict[str, str]) -> bytes:
    """Return the network as the content of an ``.onnx`` file."""
    from onnx import TensorProto, helper, numpy_helper

    tensors, nodes = [], []

    def constant(name: str, value: Any) -> str:
        tensors.append(numpy_helper.from_array(np.array(value), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def weight(name: str) -> str:
        value = weights[name]
        if precision == "fp16":
            return add("Cast", [constant(name, np.float16(value))], f"{name}_float", to=TensorProto.FLOAT)
        if precision == "int8" and value.ndim > 1:
            quantized, scale = in_8_bits(value)
            # As ONNX Runtime names and stores them: zero points as integers of 32 bits.
            tensors.append(helper.make_tensor(f"{name}_zero_point", TensorProto.INT8, [len(value)], [0] * len(value)))
            inputs = [constant(f"{name}_quantized", quantized), constant(f"{name}_scale", scale.ravel())]
            return add("DequantizeLinear", [*inputs, f"{name}_zero_point"], f"{name}_dequantized", axis=0)
        return constant(name, value)

    def linear(name: str, inputs: str, output: str) -> str:
        return add("Gemm", [inputs, weight(f"{name}.weight"), weight(f"{name}.bias")], output, transB=1)

    add("Cast", ["images"], "numbers", to=TensorProto.FLOAT)
    add("Sub", ["numbers", constant("mean", np.float32(MEAN) * 255)], "centred")
    add("Div", ["centred", constant("std", np.float32(STD) * 255)], "scaled")
    add("Transpose", ["scaled"], "planes", perm=[0, 3, 1, 2])
    add("Conv", ["planes", weight("conv1.conv.weight"), weight("conv1.conv.bias")], "conv", strides=[2, 2])
    add("Relu", ["conv"], "maps")
    add("MaxPool", ["maps"], "pooled", kernel_shape=[3, 3], strides=[2, 2])
    flat = add("Flatten", ["pooled"], "flat")
    if "fc2.linear.0.weight" in weights:
        linear("fc2.linear.1", linear("fc2.linear.0", flat, "factor"), "hidden")
    else:
        linear("fc2.linear", flat, "hidden")
    linear("fc3.linear", add("Relu", ["hidden"], "embeddings"), "logits")
    add("Div", ["logits", constant("temperature", np.float32(TEMPERATURE))], "tempered")
    add("Softmax", ["tempered"], "probabilities", axis=1)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE, 3])
    graph = helper.make_graph(nodes, "alexnet", [images], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


def write_openvino(folder: Path, weights: Weights, precision: Precision = "fp32") -> Path:
    """Write a folder of OpenVINO."""
    openvino = quiet.openvino()
    network = openvino.Core().read_model(io.BytesIO(onnx_bytes(weights, precision, {})))
    folder.mkdir()
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=False)
    artifact = artifact_at(folder, as_stored(weights, precision), "openvino", precision)
    (folder / "alexnet.json").write_text(json.dumps(config_of(artifact)))
    return folder
