"""A ``.pt2`` of ``torch.export``: any program with torch runs it, without this package. It is not read back here."""

import warnings
from pathlib import Path

import numpy as np
import torch

from alexnet.exporting.comparison import Logits
from alexnet.exporting.graph import Graph
from alexnet.images.decoding import Pixels
from alexnet.inference.probability import Floats
from alexnet.model.opening import METADATA_FILE


def write_program(graph: Graph, path: Path, metadata: str) -> None:
    """Write a network as a ``.pt2`` that holds no pickle.

    ``torch.export.load`` unpickles the example inputs, and tensors of unusual types. The file has neither: its weights
    are raw bytes. But its graph is JSON with expressions in Python, which torch evaluates: a ``.pt2`` is a program, to
    be opened only from people you trust.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = {"images": {0: torch.export.Dim("N", min=1)}}
        program = torch.export.export(graph, (graph.example(),), dynamic_shapes=shapes)
        program.example_inputs = None
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths on this machine
        torch.export.save(program, path, extra_files={METADATA_FILE: metadata})


def open_program(path: Path) -> Logits:
    """Return what computes the logits of a ``.pt2`` that this process has just written, to compare it."""
    program = torch.export.load(path).module()

    @torch.inference_mode()
    def logits(pixels: Pixels) -> Floats:
        _, computed, *_ = program(torch.from_numpy(pixels))
        return np.asarray(computed.numpy())

    return logits
