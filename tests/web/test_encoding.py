import base64
from dataclasses import replace

import numpy as np
import pytest

from alexnet.errors import SettingsError
from alexnet.network.value.layers import BatchNorm
from alexnet.web import encoding
from alexnet.web.encoding import LARGEST, encode, quantise, rounded

from ..exporting.networks import NETS, artifact_of, graph_of


def tensors_of(net):
    return {name: tensor.numpy() for name, tensor in graph_of(net).state_dict().items()}


def encoded(net):
    artifact = artifact_of(net)
    return encode(net, tensors_of(net), artifact.classes, artifact.preprocessing, 0.8)


def test_a_weight_is_off_by_half_a_step_of_its_own_channel() -> None:
    weight = np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype(np.float32)
    weight *= 10.0 ** np.arange(-3, 3).reshape(6, 1, 1, 1)
    integers, scales = quantise(weight)
    assert integers.shape == (6, 36)
    assert np.abs(integers).max(axis=1).tolist() == [LARGEST] * 6
    off = np.abs(integers * scales[:, None] - weight.reshape(6, -1)).max(axis=1)
    assert (off <= scales * 0.5001).all()


def test_a_channel_of_zeros_stays_zero() -> None:
    integers, scales = quantise(np.zeros((2, 5), np.float32))
    assert not integers.any()
    assert (scales > 0).all()


def test_rounding_changes_weights_only_and_only_once() -> None:
    tensors = tensors_of(NETS["paper"])
    once = rounded(tensors)
    assert {name for name in tensors if (once[name] != tensors[name]).any()} == {
        name for name in tensors if name.endswith((".conv.weight", ".linear.weight"))
    }
    twice = rounded(once)
    assert all(np.allclose(twice[name], once[name], rtol=1e-6) for name in once)


@pytest.mark.parametrize("name", NETS)
def test_every_array_lies_inside_the_weights(name) -> None:
    network = encoded(NETS[name])
    n_bytes = len(base64.b64decode(network["weights"]))
    used = 0
    for layer in network["layers"]:
        for key in [key for key in ("scales", "biases", "shifts", "integers") if key in layer]:
            start, n = layer[key]
            size = n * (1 if key == "integers" else 4)
            assert start % 4 == 0
            assert used <= start
            used = start + size
            assert used <= n_bytes
        if layer["kind"] in ("conv", "linear"):
            assert layer["integers"][1] == layer["n_in"] * layer["n_out"]
    assert used == n_bytes


@pytest.mark.parametrize(("table", "net", "said"), [
    ("ACTIVATIONS", NETS["batchnorm"], "the activation relu"),
    ("POOLS", NETS["batchnorm"], "the pool max"),
    ("NORMS", NETS["paper"], "the norm local"),
])  # fmt: skip
def test_what_the_page_cannot_compute_is_refused_by_name(table, net, said, monkeypatch) -> None:
    monkeypatch.setattr(encoding, table, (BatchNorm,) if table == "NORMS" else ("other",))
    with pytest.raises(SettingsError, match=f"a web page cannot compute {said}; use --format onnx"):
        encoded(net)


def test_no_map_is_promised_where_there_is_none() -> None:
    assert encoded(NETS["batchnorm"])["field"]["image_size"] == NETS["batchnorm"].image_size
    assert encoded(replace(NETS["batchnorm"], activation="gelu"))["field"] is None
