"""Smaller weights: eight bits, with the arithmetic in eight bits as well; or sixteen, only stored."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from alexnet.images.decoding import Pixels
from alexnet.inference.engines import quiet

# Other operations stay in float32. Most of them are few, and the softmax and the other norms need it.
OPERATIONS = ["Conv", "Gemm", "Relu", "MaxPool", "Flatten", "Reshape"]
# Enough for the range of each activation.
MOST_IMAGES = 256


class _Batches:
    """Hands out batches of images, one at a time: a ``CalibrationDataReader``."""

    def __init__(self, batches: Iterable[Pixels]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Pixels] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def to_int8(model: onnx.ModelProto, batches: Iterable[Pixels]) -> onnx.ModelProto:
    """Return a model with weights of 7 bits and activations of 8, in the QDQ form that all runtimes read.

    Each output channel of a layer has a scale of its own. The range of an activation goes from its least to its
    greatest value in the images. Memory does not grow with their number: only these two values are kept of each batch.

    Of 8-bit weights, processors without VNNI saturate sums of two products at 16 bits, and change the predictions of
    6.5% of images: 7 bits never reach that.

    Args:
        model: a model of float32, which is not changed.
        batches: images ``(N, image_size, image_size, C)`` uint8, which choose the ranges.
    """
    quiet.onnxruntime()
    from onnxruntime import quantization

    with TemporaryDirectory(prefix="alexnet-") as folder:
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        # Says that the graph is simplified already. Without it, a warning is printed.
        prepared = onnx.ModelProto()
        prepared.CopyFrom(model)
        helper.set_model_props(prepared, {"onnx.quant.pre_process": "onnxruntime.quant"})
        onnx.save(prepared, source)
        quantization.quantize_static(
            source,
            target,
            _Batches(batches),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            # The logits stay float32: in 256 steps, probabilities would be off by a few hundredths.
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return onnx.load(target)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose weights are stored as float16, half the size. It converts them and computes in float32.

    Args:
        model: a model of float32, which is not changed.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph, converted = halved.graph, {}
    for tensor in graph.initializer:
        # Everything else is small, and stays exact.
        if tensor.data_type == TensorProto.FLOAT and tensor.name.endswith(".weight") and len(tensor.dims) > 1:
            converted[tensor.name] = f"{tensor.name}_float32"
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for node in graph.node:
        node.input[:] = [converted.get(name, name) for name in node.input]
    for place, (name, as_float32) in enumerate(converted.items()):
        graph.node.insert(place, helper.make_node("Cast", [name], [as_float32], to=TensorProto.FLOAT))
    return halved
