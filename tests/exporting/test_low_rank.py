from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.data.parallel import untracked
from alexnet.errors import SettingsError
from alexnet.exporting import low_rank
from alexnet.exporting.graph import Graph
from alexnet.exporting.images import ExportImages
from alexnet.exporting.low_rank import Shrunk, shrink
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, Pool

from .networks import artifact_of, as_trained, export_images, pixels_for

NET = Architecture(
    layers=(Conv(channels=16, kernel=3, pool=Pool()),), hidden=(96, 80), grid=3, n_classes=3, image_size=9
)


def made_up(n: int = 600, hidden: tuple[int, ...] = (96, 80)) -> tuple[Graph, ExportImages]:
    """Return a network, and images that it is sure of, with the labels that it predicts."""
    net = Architecture(layers=NET.layers, hidden=hidden, grid=3, n_classes=3, image_size=9)
    graph, pixels = Graph(as_trained(net), artifact_of(net)), pixels_for(net, n)
    with torch.no_grad():
        for tensor in graph.get_submodule(graph.last).parameters():
            tensor.mul_(3.75)
    probabilities = graph.probabilities(pixels)
    sure = probabilities.max(axis=1) > 0.7
    return graph, export_images(net, pixels[sure], probabilities[sure].argmax(axis=1))


def shrunk(graph: Graph, images: ExportImages, max_loss: float, *, force: bool = False) -> Shrunk:
    return shrink(graph, images, max_loss, force=force, track=untracked)


def right(graph: Graph, images: ExportImages) -> float:
    pixels = np.concatenate(list(images.batches(images.val, untracked, "")))
    return float((graph.probabilities(pixels).argmax(axis=1) == images.val.labels).mean())


def test_the_smallest_rank_that_keeps_the_predictions_is_chosen(monkeypatch) -> None:
    monkeypatch.setattr(low_rank, "RANKS", (1, 2, 4, 8, 16, 32))
    graph, images = made_up()
    found = shrunk(graph, images, 0.01)
    rank = max(found.ranks.values())
    assert set(found.ranks) == {"fc2", "fc3"}
    assert found.notes == ()
    assert right(graph, images) >= 0.99
    assert rank > low_rank.RANKS[0], "else a smaller one could not be worse"
    graph, images = made_up()
    monkeypatch.setattr(low_rank, "RANKS", tuple(each for each in low_rank.RANKS if each < rank))
    with pytest.raises(SettingsError, match=r"falls from 1\.000 to 0\.\d+, by more than 0\.01; allow more"):
        shrunk(graph, images, 0.01)


def test_a_loss_that_is_allowed_gives_a_smaller_rank() -> None:
    graph, images = made_up()
    assert shrunk(graph, images, 1.0).ranks == {"fc2": 16, "fc3": 16}


@pytest.mark.parametrize("place", ["inputs", "outputs"])
def test_factors_come_from_what_a_layer_reads_also_where_dropout_scales_it(place, monkeypatch) -> None:
    monkeypatch.setattr(low_rank, "RANKS", (32,))
    net = replace(NET, dropout=0.75, dropout_place=place, dropout_scaling="prediction")
    graph, pixels = Graph(as_trained(net), artifact_of(net)), pixels_for(net, 30)
    images, before = export_images(net, pixels, np.zeros(30)), graph(torch.from_numpy(pixels))[1]
    # What 30 images give has 29 dimensions around its mean: nothing is lost.
    assert shrunk(graph, images, 1.0).ranks == {"fc2": 29, "fc3": 29}
    torch.testing.assert_close(graph(torch.from_numpy(pixels))[1], before, atol=1e-3, rtol=0)


def test_force_takes_the_largest_rank(monkeypatch) -> None:
    monkeypatch.setattr(low_rank, "RANKS", (2, 3))
    graph, images = made_up()
    assert shrunk(graph, images, -1.0, force=True).ranks == {"fc2": 3, "fc3": 3}


def test_the_factors_are_named_and_shaped_as_agreed() -> None:
    graph, images = made_up()
    shrunk(graph, images, 1.0)
    shapes = {name: tuple(each.shape) for name, each in graph.state_dict().items() if name.startswith("fc")}
    assert shapes == {
        "fc2.linear.0.weight": (16, 144), "fc2.linear.0.bias": (16,),
        "fc2.linear.1.weight": (96, 16), "fc2.linear.1.bias": (96,),
        "fc3.linear.0.weight": (16, 96), "fc3.linear.0.bias": (16,),
        "fc3.linear.1.weight": (80, 16), "fc3.linear.1.bias": (80,),
        "fc4.linear.weight": (3, 80), "fc4.linear.bias": (3,),
    }  # fmt: skip


def test_outputs_in_few_dimensions_are_kept_exactly() -> None:
    """A layer of full rank whose inputs lie in a plane of eight dimensions, away from the origin."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 80)
    inputs = torch.randn(400, 8) @ torch.randn(8, 96) + torch.randn(96)
    with torch.no_grad():
        first, second = low_rank._factors(linear, inputs, 16)
        torch.testing.assert_close(second(first(inputs)), linear(inputs), atol=1e-3, rtol=1e-4)
    assert first.out_features == 8, "there are no more dimensions"


@pytest.mark.parametrize("n", [20, 400])
def test_they_are_closer_than_factors_of_the_weights(n) -> None:
    """For more images than outputs, and for fewer."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 80)
    inputs = torch.randn(n, 96) * torch.logspace(1, -4, 96)
    with torch.no_grad():
        first, second = low_rank._factors(linear, inputs, 8)
        mine = (second(first(inputs)) - linear(inputs)).square().mean()
        u, s, v = torch.linalg.svd(linear.weight)
        theirs = (inputs @ (u[:, :8] * s[:8] @ v[:8]).t() + linear.bias - linear(inputs)).square().mean()
    assert mine < 0.3 * theirs


def test_layers_that_would_become_larger_stay_whole_and_are_named() -> None:
    graph, images = made_up(hidden=(96, 8))
    found = shrunk(graph, images, 1.0)
    assert found.ranks == {"fc2": 16}
    assert found.notes == ("fc3 stays whole: two layers of rank 16 would be larger",)
    assert "fc3.linear.weight" in graph.state_dict()


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_network_without_large_layers_stays_whole(hidden) -> None:
    graph, images = made_up(hidden=hidden)
    before = set(graph.state_dict())
    found = shrunk(graph, images, 0.0)
    assert found.ranks == {}
    assert "the network stays whole" in found.notes[0]
    assert set(graph.state_dict()) == before


def test_a_layer_without_any_output_can_be_shrunk() -> None:
    graph, images = made_up()
    with torch.no_grad():
        for name in graph.hidden:
            for tensor in graph.get_submodule(name).parameters():
                tensor.zero_()
    shrunk(graph, images, 1.0)
    assert all(tensor.isfinite().all() for tensor in graph.state_dict().values())
