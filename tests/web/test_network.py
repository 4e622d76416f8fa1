"""The network in JavaScript against the same network in torch, with the same rounded weights."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from alexnet.explanation.gradcam import Head, class_maps, covers
from alexnet.exporting.graph import Graph
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import Conv, GroupNorm, LocalNorm, Pool
from alexnet.web.encoding import Tensors, encode, rounded

from ..exporting.networks import NETS as EXPORTED
from ..exporting.networks import artifact_of, at_random, graph_of, pixels_for
from ..network import drawn
from .predicting import png

SMALL = resolve("small", width=0.125, hidden=(16, 12), n_classes=5)
ODD = Architecture(
    layers=(
        # Neither fours of rows nor pairs of windows: 2 rows in each group, 25 windows; then 7 rows, 64 windows.
        Conv(channels=6, kernel=3, stride=2, groups=3, norm=GroupNorm(n_groups=3, place="after")),
        Conv(channels=7, kernel=2, padding=2, norm=LocalNorm(size=4, alpha=0.5), pool=Pool(kernel=2, stride=1)),
    ),
    hidden=(5,),
    grid=3,
    n_classes=2,
    image_size=12,
    activation="tanh",
)
NETS = {
    **EXPORTED,
    "odd numbers": ODD,
    "grey": replace(SMALL, in_channels=1),
    "gelu": replace(SMALL, activation="gelu"),
    "silu": replace(SMALL, activation="silu"),
    "tanh": replace(SMALL, activation="tanh"),
    "average": resolve(SMALL, pool="average"),
    "group": resolve(SMALL, norm="group"),
    "batch norm after": resolve(SMALL, norm="batch", norm_place="after"),
    "batch norm after the pool": resolve(SMALL, norm="batch", norm_place="pooled"),
    "local norm after the pool": resolve(SMALL, norm="local", norm_place="pooled"),
    "groups": resolve(SMALL, groups=2),
    "no hidden layer": replace(SMALL, hidden=()),
}
RUN = """([saved, images]) => {
  const network = new Network(saved);
  return images.map(text => {
    const outputs = network.run(fromBase64(text));
    return {
      probabilities: network.probabilities(outputs),
      maps: Array.from(outputs[saved.maps_after - 1].data),
      classMaps: saved.field ? saved.classes.map((_, number) => network.classMap(outputs, number)) : [],
    };
  });
}"""


# What ``serve`` in classifier.js does with each file.
PREDICT = '([saved, file]) => new Classifier(saved).predict(new Blob([fromBase64(file)], { type: "image/png" }))'


def encoded(net: Architecture, tensors: Tensors) -> dict[str, Any]:
    artifact = artifact_of(net)
    return encode(net, tensors, artifact.classes, artifact.preprocessing, artifact.calibration.temperature)


def in_both(net: Architecture, compute: Any, graph: Graph | None = None, n: int = 3) -> tuple[Any, list[Any], Graph]:
    """Return what torch and what JavaScript compute for images, and the network in torch."""
    graph = graph or graph_of(net)
    tensors = {name: tensor.numpy() for name, tensor in graph.state_dict().items()}
    saved = encoded(net, tensors)
    graph.load_state_dict({name: torch.from_numpy(each) for name, each in rounded(tensors).items()}, assign=True)
    pixels = pixels_for(net, n)
    with torch.no_grad():
        expected = [output.numpy() for output in graph(torch.from_numpy(pixels))]
    found = compute.evaluate(RUN, [saved, [base64.b64encode(image.tobytes()).decode() for image in pixels]])
    return expected, found, graph


@pytest.mark.parametrize("name", NETS)
def test_javascript_computes_what_torch_computes(name, compute) -> None:
    (probabilities, _, _, maps), found, _ = in_both(NETS[name], compute)
    assert np.ptp(np.log(probabilities), axis=0).max() > 2e-3, "the images are all the same to this network"
    for expected, each in zip(probabilities, found, strict=True):
        assert np.allclose(each["probabilities"], expected, atol=2e-5)
        assert np.allclose(np.log(each["probabilities"]), np.log(expected), atol=2e-4)
        assert sum(each["probabilities"]) == pytest.approx(1)
    for expected, each in zip(maps, found, strict=True):
        assert np.allclose(each["maps"], expected.ravel(), atol=1e-5 * max(1, np.abs(expected).max()))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=drawn.networks())
def test_javascript_computes_what_torch_computes_of_any_network(compute, net) -> None:
    (probabilities, _, _, maps), found, _ = in_both(net, compute, Graph(at_random(net), artifact_of(net)), n=1)
    assert np.allclose(found[0]["probabilities"], probabilities[0], atol=2e-5)
    assert np.allclose(found[0]["maps"], maps[0].ravel(), atol=1e-5 * max(1, np.abs(maps).max()))


@pytest.mark.parametrize("name", [name for name, net in NETS.items() if covers(net) is None])
def test_maps_are_those_of_grad_cam(name, compute) -> None:
    net = NETS[name]
    (_, _, _, maps), found, graph = in_both(net, compute, n=2)
    head = Head.of(net, {name: tensor.numpy() for name, tensor in graph.state_dict().items()})
    n_seen = 0
    for number in range(net.n_classes):
        expected = class_maps(head, maps, np.array([number, number]))
        for each, values in zip(found, expected, strict=True):
            assert np.allclose(each["classMaps"][number], values, rtol=1e-3, atol=1e-4 * max(1e-3, values.max()))
            n_seen += values.max() > 0
    assert n_seen


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "local norm after the pool", "grey", "no hidden layer"])
def test_a_file_is_predicted_whether_or_not_there_are_maps(name, compute) -> None:
    net = NETS[name]
    saved = encoded(net, {name: tensor.numpy() for name, tensor in graph_of(net).state_dict().items()})
    found = compute.evaluate(PREDICT, [json.dumps(saved), base64.b64encode(png("red")).decode()])
    assert sum(each["probability"] for each in found["predictions"]) == pytest.approx(1)
    labels = [each["label"] for each in found["predictions"]]
    assert sorted(labels) == list(artifact_of(net).classes)
    assert [each["label"] for each in found["maps"]][:1] == (labels[:1] if covers(net) is None else [])


def test_maps_of_a_shrunk_network_are_those_of_the_whole_product(compute) -> None:
    net = NETS["tanh"]
    graph = graph_of(net)
    whole = graph.get_submodule("fc6").get_submodule("linear")
    left, values, right = torch.linalg.svd(whole.weight.double(), full_matrices=False)
    first = torch.nn.Linear(whole.in_features, len(values))
    second = torch.nn.Linear(len(values), whole.out_features)
    with torch.no_grad():
        first.weight.copy_(values[:, None] * right)
        first.bias.zero_()
        second.weight.copy_(left)
        second.bias.copy_(whole.bias)
    graph.get_submodule("fc6").add_module("linear", torch.nn.Sequential(first, second).requires_grad_(False))
    (probabilities, _, _, maps), found, graph = in_both(net, compute, graph, n=1)
    assert np.allclose(found[0]["probabilities"], probabilities[0], atol=2e-5)

    tensors = {name: tensor.numpy() for name, tensor in graph.state_dict().items()}
    second, first = (tensors.pop(f"fc6.linear.{number}.weight") for number in (1, 0))
    tensors["fc6.linear.weight"], tensors["fc6.linear.bias"] = second @ first, tensors["fc6.linear.1.bias"]
    expected = class_maps(Head.of(net, tensors), maps, np.array([1]))[0]
    assert np.allclose(found[0]["classMaps"][1], expected, rtol=1e-3, atol=1e-5)
