"""A trained network as one HTML file that classifies images in a browser, without a server."""

import copy
import os
from dataclasses import replace

import numpy as np
import torch

from alexnet.data.parallel import Track, untracked
from alexnet.errors import ArtifactError
from alexnet.explanation.gradcam import covers
from alexnet.exporting.comparison import Comparison, Limits, Logits, compare, logits_of
from alexnet.exporting.graph import Graph
from alexnet.exporting.images import ExportImages, open_images
from alexnet.exporting.low_rank import Shrunk
from alexnet.exporting.low_rank import shrink as shrink_graph
from alexnet.exporting.place import (
    Exported,
    comparison_path,
    comparison_text,
    n_bytes,
    name_ending,
    original,
    place_for,
)
from alexnet.files.atomic import write_atomically
from alexnet.images.decoding import Pixels
from alexnet.inference.probability import Floats
from alexnet.model.artifact import CONFIG, WEIGHTS, Artifact, load_model
from alexnet.model.exported import SelfTest
from alexnet.web.build import standalone_page
from alexnet.web.encoding import encode, rounded

# How far a probability in a browser may be from that of the same weights here. The arithmetic differs by 1e-6: what
# this finds is a browser that changes images.
TOLERANCE = 1e-3
# The class names in the title of the page.
MOST_NAMED = 10


def export_web(
    model: str | os.PathLike[str],
    *,
    shrink: bool = False,
    max_loss: float = 0.01,
    calibrate: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    track: Track = untracked,
) -> Exported:
    """Export a trained network as one HTML file: see ``export``, whose arguments these are.

    Weights are integers of eight bits with a scale for each output channel; everything else is floating point.

    The comparison is not made in a browser, since there may be none: torch computes with the same rounded weights. The
    self-test shows that JavaScript computes the same, each time the page is opened. So no times are compared.

    Raises:
        ArtifactError: there is no such model, it is damaged, or the export falls short.
        DataError: the images are gone or have changed.
        SettingsError: an option does not fit another, or the page cannot compute a layer of the network.
    """
    artifact = original(model)
    path = place_for(model, artifact, out, name_ending("web", shrink=shrink))
    network = load_model(artifact)
    graph = Graph(network, artifact)
    images = open_images(artifact, calibrate, data_dir, track)
    shrunk = shrink_graph(graph, images, max_loss, force=force, track=track) if shrink else Shrunk()
    tensors = {name: tensor.numpy() for name, tensor in graph.state_dict().items()}
    encoded = encode(
        artifact.architecture, tensors, artifact.classes, artifact.preprocessing, artifact.calibration.temperature
    )
    # A copy, since the graph shares layers with the network that it is compared with.
    page = copy.deepcopy(graph)
    page.load_state_dict({name: torch.from_numpy(each) for name, each in rounded(tensors).items()}, assign=True)
    comparison = _compared(logits_of(network, artifact), page, artifact, images, track)
    fault = comparison.fault(Limits.of("int8", comparison.n_images, max_loss if shrunk.ranks else None))
    if fault is not None and not force:
        advice = "try a smaller --max-loss" if shrunk.ranks else "use --format onnx"
        raise ArtifactError(f"export refused: {fault}; {advice}, or keep it with --force")
    tested = images.self_test()
    described = {
        "name": path.stem,
        "resize": artifact.preprocessing.resize,
        "notes": _notes(artifact, comparison),
        "self_test": SelfTest(tested, page.probabilities(tested), TOLERANCE).to_json(),
    }
    write_atomically(path, standalone_page({**encoded, **described}, _title(path.stem, artifact.classes)))
    comparison = replace(comparison, n_bytes=n_bytes(path))
    write_atomically(comparison_path(path), comparison_text(comparison, path))
    notes = (*shrunk.notes, *([] if fault is None else [f"it falls short of its original: {fault}"]))
    return Exported(path, comparison, notes)


def _compared(before: Logits, page: Graph, artifact: Artifact, images: ExportImages, track: Track) -> Comparison:
    """Return how the network of the page compares with its original, without size and times."""

    @torch.no_grad()
    def logits(pixels: Pixels) -> Floats:
        return np.asarray(page(torch.from_numpy(pixels))[1].numpy())

    comparison = compare(
        before,
        logits,
        images,
        artifact.calibration.temperature,
        n_bytes_before=sum(n_bytes(artifact.folder / name) for name in (CONFIG, WEIGHTS)),
        n_bytes=0,
        track=track,
    )
    return replace(comparison, milliseconds_before={}, milliseconds={})


def _notes(artifact: Artifact, comparison: Comparison) -> list[str]:
    """Return what the page says of the network, a line each."""
    net = artifact.architecture
    compared = f"{comparison.n_images} {comparison.split} images"
    return [
        "The network is inside this page, and images stay on this device.",
        f"{net.variant} at {net.image_size} px, weights of 8 bits: top-1 {comparison.top1_after:.3f} on {compared}.",
        *filter(None, [covers(net)]),
    ]


def _title(name: str, classes: tuple[str, ...]) -> str:
    """Return the title of the page. Names may hold bytes that are not text."""
    more = " ..." if len(classes) > MOST_NAMED else ""
    return f"{name}: {', '.join(classes[:MOST_NAMED])}{more}".encode("utf-8", "backslashreplace").decode()
