from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from alexnet.errors import ArtifactError
from alexnet.exporting.comparison import Limits, compare
from alexnet.exporting.graph import Graph
from alexnet.exporting.onnx import exact_probabilities, to_onnx, write_onnx
from alexnet.exporting.place import metadata
from alexnet.exporting.quantisation import to_int8
from alexnet.inference.engines import quiet
from alexnet.inference.engines.engine import open_engine
from alexnet.model.exported import Export, SelfTest, enlarge
from alexnet.model.opening import load_artifact
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv

from .networks import NETS, artifact_of, as_trained, export_images, graph_of, onnx_of, pixels_for


def saturates() -> bool:
    """Return whether this processor adds products of 8 bits in 16: one with AVX2, but without VNNI."""
    flags = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else set()
    return "avx2" in flags and not any("vnni" in flag for flag in flags)


def outputs_by(model: onnx.ModelProto, name: str):
    session = quiet.onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run([name], {"images": pixels})[0]


@pytest.mark.parametrize("name", ["batchnorm at 67 px", "paper", "batchnorm+group", "no hidden", "original at 84 px"])
def test_it_is_a_quarter_of_the_size_and_nearly_the_same(name) -> None:
    net = NETS[name]
    graph, pixels, whole = graph_of(net), pixels_for(net, 64), onnx_of(name)
    before = whole.SerializeToString()
    small = to_int8(whole, np.array_split(pixels, 3))
    assert whole.SerializeToString() == before, "the model given is not changed"
    # These networks are narrow: scales and the names of nodes weigh more than in real ones.
    assert small.ByteSize() < 0.5 * whole.ByteSize()
    # Of random weights, the logits are small differences of large numbers.
    found, exact = outputs_by(small, "embeddings")(pixels), graph(torch.from_numpy(pixels))[2].numpy()
    assert np.abs(found - exact).mean() < 0.1 * np.abs(exact).mean()


def test_weights_have_seven_bits_and_names_that_lead_back_to_them() -> None:
    graph = graph_of(NETS["small"])
    model = to_int8(onnx_of("small"), [pixels_for(NETS["small"], 8)])
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for name, weight in graph.state_dict().items():
        if name.endswith(".weight"):
            numbers, scale = stored[f"{name}_quantized"], stored[f"{name}_scale"]
            assert numbers.dtype == np.int8
            assert np.abs(numbers.astype(int)).max() == 64
            assert scale.shape == (len(weight),), "each output channel has its own"
            back = numbers * scale.reshape(-1, *[1] * (weight.ndim - 1))
            np.testing.assert_allclose(back, weight, atol=float(scale.max()) * 0.51)


def test_logits_are_not_rounded_to_256_steps() -> None:
    net = NETS["small"]
    model = to_int8(onnx_of("small"), [pixels_for(net, 8)])
    logits = outputs_by(model, "logits")(pixels_for(net, 500, seed=1))
    assert len(np.unique(logits[:, 0])) > 256


def saturating() -> tuple[Architecture, Graph]:
    """Return a network that adds up many products of the largest activations and the largest weights.

    Bright images are of the first class. Where sums saturate at half of what they are, they are of the second.
    """
    net = Architecture(layers=(Conv(channels=8, kernel=3),), hidden=(16,), grid=6, n_classes=2, image_size=8)
    model = as_trained(net)
    with torch.no_grad():
        for name, weight in (("conv1.conv", 0.1), ("fc2.linear", 0.02), ("fc3.linear", 0.0)):
            layer = model.get_submodule(name)
            layer.weight.fill_(weight)
            layer.bias.zero_()
        model.fc3.linear.weight[0] = 1 / 16
        model.fc3.linear.bias[1] = 25
    return net, Graph(model, artifact_of(net))


def bright_and_dark(net: Architecture, n: int) -> tuple[np.ndarray, np.ndarray]:
    half = -(-net.image_size // 2)
    dark = np.random.default_rng(0).integers(0, 60, (n, half, half, net.in_channels)).astype(np.uint8)
    labels = np.arange(n) % 2
    return enlarge(
        np.where(labels[:, None, None, None] == 0, 255 - dark, dark).astype(np.uint8), net.image_size
    ), labels


@pytest.mark.skipif(not saturates(), reason="this processor does not saturate")
def test_a_file_of_8_bit_weights_is_refused_twice(monkeypatch, tmp_path) -> None:
    """By the comparison with the original, and by the self-test when it is loaded. One of 7 bits passes both."""
    net, graph = saturating()
    pixels, labels = bright_and_dark(net, 64)
    images = export_images(net, pixels, labels)
    assert (graph.probabilities(pixels).argmax(axis=1) == labels).all()
    whole = to_onnx(graph)
    seven = to_int8(whole, [pixels])
    quiet.onnxruntime()
    quantization = import_module("onnxruntime.quantization")
    quantize = quantization.quantize_static

    def with_8_bits(*given, **options) -> None:
        quantize(*given, **{**options, "reduce_range": False})

    monkeypatch.setattr(quantization, "quantize_static", with_8_bits)
    eight = to_int8(whole, [pixels])
    limits = Limits.of("int8", len(pixels), None)
    for model, is_good in ((seven, True), (eight, False)):
        found = compare(
            lambda some: graph(torch.from_numpy(some))[1].numpy(),
            outputs_by(model, "logits"),
            images,
            0.8,
            n_bytes_before=1,
            n_bytes=1,
            track=lambda items, n_items, what: items,
        )
        assert (found.fault(limits) is None) == is_good
        test = SelfTest(pixels[:8], exact_probabilities(model, pixels[:8]), 0.01)
        text = metadata(artifact_of(net), Export("onnx", "int8", {}, test))
        write_onnx(model, tmp_path / "net.onnx", text)
        if is_good:
            open_engine(load_artifact(tmp_path / "net.onnx"), "onnxruntime")
        else:
            with pytest.raises(ArtifactError, match="fails its own test on this machine"):
                open_engine(load_artifact(tmp_path / "net.onnx"), "onnxruntime")
