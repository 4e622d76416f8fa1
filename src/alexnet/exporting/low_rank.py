"""Hidden layers replaced by two smaller ones, found from what the layers output for training images."""

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from alexnet.data.batches.examples import Examples
from alexnet.data.parallel import Track
from alexnet.errors import SettingsError
from alexnet.exporting.graph import Graph
from alexnet.exporting.images import ExportImages

RANKS = (16, 32, 64, 128, 256, 512, 1024)
# Components with a smaller share of the variance of the largest are rounding errors.
LEAST_VARIANCE = 1e-9


@dataclass(frozen=True)
class Shrunk:
    """What was done to shrink a network.

    Attributes:
        ranks: the rank of each layer that was replaced, by its name.
        notes: which layers stay whole and why, a line each.
    """

    ranks: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@torch.no_grad()
def shrink(graph: Graph, images: ExportImages, max_loss: float, *, force: bool, track: Track) -> Shrunk:
    """Replace the hidden layers of a network by two layers each, of the smallest rank that keeps its top-1.

    The outputs ``y = W x + b`` of a layer for training images lie near a plane of few dimensions, which their principal
    components ``U`` span around their mean ``m``. So ``y`` is nearly ``U (U' W x + U' (b - m)) + m``: two layers, the
    first with ``rank`` outputs. Factors of ``W`` alone would be far worse: most directions in which ``W`` is large
    never occur in its inputs.

    The rank is the smallest of ``RANKS`` with which the top-1 on ``val`` falls by at most ``max_loss``.

    Args:
        graph: the network, which is changed.
        images: ``train`` gives the outputs, ``val`` the top-1.
        max_loss: by how much the top-1 may fall, a share in [0, 1].
        force: take the largest rank if none is good enough, instead of raising.
        track: how progress is shown.

    Raises:
        SettingsError: no rank is good enough.
    """
    whole = {name: graph.get_submodule(name).get_submodule("linear") for name in graph.hidden}
    smaller = {rank: [name for name, linear in whole.items() if _is_smaller(linear, rank)] for rank in RANKS}
    if not smaller[RANKS[0]]:
        return Shrunk(notes=("there is no hidden layer that shrinking would make smaller; the network stays whole",))
    train, val = (_flattened(graph, images, each, track) for each in (images.train, images.val))
    labels = torch.from_numpy(images.val.labels)
    before, most_lost = _n_right(graph, val, labels), max_loss * len(labels) + 1e-9
    for rank in RANKS:
        if smaller[rank]:
            ranks = _replace(graph, whole, smaller[rank], train, rank)
            after = _n_right(graph, val, labels)
            if before - after <= most_lost:
                break
    else:
        if not force:
            shares = [f"{each / len(labels):.3f}" for each in (before, after)]
            raise SettingsError(
                f"shrunk to rank {max(ranks.values())}, the network's top-1 on val images falls from {shares[0]} to "
                f"{shares[1]}, by more than {max_loss:g}; allow more with --max-loss, or leave out --shrink"
            )
    why = f"stays whole: two layers of rank {max(ranks.values())} would be larger"
    notes = (f"{name} {why}" for name in whole if name not in ranks)
    return Shrunk(ranks, tuple(notes))


def _is_smaller(linear: nn.Module, rank: int) -> bool:
    assert isinstance(linear, nn.Linear)
    n_inputs, n_outputs = linear.in_features, linear.out_features
    return rank * (n_inputs + n_outputs) < n_inputs * n_outputs


def _flattened(graph: Graph, images: ExportImages, some: Examples, track: Track) -> Tensor:
    """Return what the first fully-connected layer reads for images, ``(N, n)``."""
    batches = images.batches(some, track, "looking at images")
    return torch.cat([graph.flatten(torch.from_numpy(pixels))[0] for pixels in batches])


def _n_right(graph: Graph, flat: Tensor, labels: Tensor) -> int:
    """Return how many images are predicted right. A count: shares in floating point refuse a loss of exactly 0.01."""
    logits: Tensor = graph.get_submodule(graph.last)(graph.embed(flat))
    return int((logits.argmax(dim=1) == labels).sum())


def _replace(
    graph: Graph, whole: dict[str, nn.Module], smaller: list[str], inputs: Tensor, rank: int
) -> dict[str, int]:
    """Replace layers by factors, first to last: each sees what the factors before it output. Return their ranks."""
    ranks = {}
    for name, linear in whole.items():
        layer = graph.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        if name in smaller:
            first, second = _factors(linear, _read_by_linear(layer, inputs), rank)
            ranks[name] = first.out_features
            layer.add_module("linear", nn.Sequential(first, second))
        else:
            layer.add_module("linear", linear)
        inputs = layer(inputs)
    return ranks


def _read_by_linear(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the linear part of a layer reads. Dropout of inputs, scaled in prediction, stands before it."""
    for part, module in layer.named_children():
        if part == "linear":
            break
        inputs = module(inputs)
    return inputs


def _factors(linear: nn.Linear, inputs: Tensor, rank: int) -> tuple[nn.Linear, nn.Linear]:
    """Return two layers that together output nearly what one does for some inputs, ``(N, n_inputs)``."""
    outputs = linear(inputs).double()
    mean = outputs.mean(dim=0)
    basis = _principal(outputs - mean, rank)
    weights = (basis.t() @ linear.weight.double(), basis)
    biases = (basis.t() @ (linear.bias.double() - mean), mean)
    return _linear(weights[0], biases[0]), _linear(weights[1], biases[1])


def _principal(centred: Tensor, rank: int) -> Tensor:
    """Return at most ``rank`` principal components of rows with mean zero, ``(N, n)``, as columns ``(n, rank)``."""
    n, width = centred.shape
    # The eigenvectors of the smaller of the two products.
    few = n < width
    values, vectors = torch.linalg.eigh(centred @ centred.t() if few else centred.t() @ centred)
    values, vectors = values[-rank:], vectors[:, -rank:]
    kept = values > LEAST_VARIANCE * values[-1]
    kept[-1] = True
    values, vectors = values[kept], vectors[:, kept]
    basis: Tensor = centred.t() @ vectors / values.clamp(min=1e-30).sqrt() if few else vectors
    return basis


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    made.load_state_dict(OrderedDict(weight=weight.float(), bias=bias.float()), assign=True)
    return made.requires_grad_(False)
