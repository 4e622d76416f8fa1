"""A page with a small trained network inside, and what the same network predicts in Python."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.exporting.graph import Graph
from alexnet.model.artifact import Artifact, Calibration, load_model
from alexnet.model.exported import SelfTest, enlarge
from alexnet.model.opening import load_artifact
from alexnet.web.build import standalone_page
from alexnet.web.encoding import encode, rounded

from ..conftest import coloured_image


def png(label: str, number: int = 100) -> bytes:
    """Return the file of an image in which a colour is strongest."""
    file = io.BytesIO()
    coloured_image(label, number).save(file, "PNG")
    return file.getvalue()


def write_page(
    run: Path,
    file: Path,
    *,
    classes: tuple[str, ...] | None = None,
    temperature: float | None = None,
    off: float = 0.0,
    **changes: Any,
) -> None:
    """Write a standalone page of a trained run.

    Args:
        run: its folder.
        file: where to write it.
        classes: other names for its classes.
        temperature: another temperature than that of the run.
        off: added to the expected probabilities of the self-test.
        changes: other values of what the page is made of.
    """
    artifact = load_artifact(run)
    if temperature is not None:
        artifact = replace(artifact, calibration=Calibration(temperature=temperature))
    graph = Graph(load_model(artifact), artifact)
    tensors = {name: tensor.numpy() for name, tensor in graph.state_dict().items()}
    network = encode(
        artifact.architecture,
        tensors,
        classes or artifact.classes,
        artifact.preprocessing,
        artifact.calibration.temperature,
    )
    graph.load_state_dict({name: torch.from_numpy(each) for name, each in rounded(tensors).items()}, assign=True)
    test = self_test(graph, artifact, off)
    made = {"name": "colours", "resize": artifact.preprocessing.resize, "notes": ["a note"], "self_test": test}
    file.write_text(standalone_page({**network, **made, **changes}, "colours: all of them"), encoding="utf-8")


def self_test(graph: Graph, artifact: Artifact, off: float) -> dict[str, Any]:
    size = artifact.architecture.image_size
    half = np.random.default_rng(0).integers(0, 256, (2, -(-size // 2), -(-size // 2), 3), dtype=np.uint8)
    images = enlarge(half, size)
    probabilities = np.clip(graph.probabilities(images) + off, 0, 1)
    return SelfTest(images, probabilities, 1e-3).to_json()


def shares(texts: list[str]) -> list[float]:
    """Return percentages as numbers."""
    return [float(text.rstrip("%")) for text in texts]
