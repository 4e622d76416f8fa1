from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from alexnet.explanation.activations import activations
from alexnet.exporting.graph import Graph, pooling_matrix
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.engines.torch_engine import TorchEngine
from alexnet.model.artifact import save_artifact

from ..network import drawn
from .networks import NETS, artifact_of, as_trained, at_random, graph_of, pixels_for


@pytest.mark.parametrize("name", NETS)
def test_it_computes_what_the_network_computes(name) -> None:
    net = NETS[name]
    model, artifact = as_trained(net), artifact_of(net)
    pixels = pixels_for(net, 3)
    images = normalise(to_tensor(pixels), artifact.preprocessing.mean, artifact.preprocessing.std)
    with torch.inference_mode():
        logits, seen = model(images), activations(model, images.contiguous())
        expected = (torch.softmax(logits / 0.8, dim=1), logits, seen.embeddings, seen.maps)
        found = Graph(model, artifact)(torch.from_numpy(pixels))
    for mine, theirs in zip(found, expected, strict=True):
        assert np.asarray(mine).shape == np.asarray(theirs).shape
        np.testing.assert_allclose(mine, theirs, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert 0.1 < float(found[0].max()) < 0.9999, "probabilities say something"


@settings(max_examples=40, deadline=None)
@given(net=drawn.networks())
def test_it_computes_what_any_network_computes(net) -> None:
    model, artifact, pixels = at_random(net), artifact_of(net), pixels_for(net, 2)
    images = normalise(to_tensor(pixels), artifact.preprocessing.mean, artifact.preprocessing.std)
    with torch.inference_mode():
        expected = (model(images), model.embed(images), torch.from_numpy(activations(model, images).maps))
        found = Graph(model, artifact)(torch.from_numpy(pixels))[1:]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == theirs.shape
        assert (mine - theirs).abs().max() < 1e-4 * max(1, float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["program", "original at 84 px", "own", "no pool"])
def test_the_maps_are_those_of_the_engine_of_torch(name, tmp_path) -> None:
    net = NETS[name]
    model, artifact, pixels = as_trained(net), artifact_of(net, tmp_path / "model"), pixels_for(net, 2)
    save_artifact(artifact, model.state_dict(), "")
    maps = TorchEngine(artifact).maps(pixels)
    np.testing.assert_allclose(Graph(model, artifact)(torch.from_numpy(pixels))[3], maps, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", range(1, 12))
@pytest.mark.parametrize("grid", [1, 3, 5, 6])
def test_pooling_is_a_matrix_whatever_the_ratio(side, grid) -> None:
    maps, matrix = torch.rand(2, 3, side, side), pooling_matrix(side, grid)
    torch.testing.assert_close(matrix @ maps @ matrix.t(), F.adaptive_avg_pool2d(maps, grid))


def test_there_is_no_pooling_at_the_native_size() -> None:
    assert graph_of(NETS["batchnorm"]).pooling is None
    assert graph_of(NETS["batchnorm at 67 px"]).pooling is not None


@pytest.mark.parametrize("name", NETS)
def test_tensors_keep_their_names(name) -> None:
    graph, model = graph_of(NETS[name]), as_trained(NETS[name])
    own, theirs = set(graph.state_dict()), set(model.state_dict())
    assert {name for name in own - theirs if not name.endswith(".pool.matrix")} <= {"mean", "scale", "pooling"}
    assert all(".norm." in missing for missing in theirs - own)


def test_a_batch_norm_is_folded_only_where_it_comes_right_after_the_convolution() -> None:
    assert not any(".norm." in name for name in graph_of(NETS["batchnorm"]).state_dict())
    assert any(".norm." in name for name in graph_of(NETS["no hidden"]).state_dict())


def test_making_it_leaves_the_network_as_it_was() -> None:
    model = as_trained(NETS["batchnorm"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    Graph(model, artifact_of(NETS["batchnorm"]))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_temperature_changes_the_probabilities_only() -> None:
    net = NETS["small"]
    artifact, pixels = artifact_of(net), torch.from_numpy(pixels_for(net, 2))
    cold = replace(artifact, calibration=replace(artifact.calibration, temperature=0.1))
    mine, theirs = (Graph(as_trained(net), each)(pixels) for each in (artifact, cold))
    assert not torch.allclose(mine[0], theirs[0], atol=1e-2)
    assert torch.equal(mine[1], theirs[1])
