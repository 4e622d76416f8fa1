"""What is known of a run: collected once, and then only read. Every section of the report is made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from alexnet.data.findings import Finding
from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scoring import EvaluationResult
from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Prediction
from alexnet.model.artifact import Artifact
from alexnet.training.learning.reports import EpochReport

T = TypeVar("T")


class Missing(Exception):  # noqa: N818 - it says what the report lacks, and ends no program
    """Why a part of the report cannot be made, in one line."""


def known(value: T | Missing) -> T:
    """Return the value.

    Raises:
        Missing: it could not be obtained.
    """
    if isinstance(value, Missing):
        raise value
    return value


def sample(outputs: Outputs, n: int) -> tuple[str, ...]:
    """Return ``n`` of the evaluated images, evenly spread over their order, which goes by class in most data."""
    places = np.unique(np.linspace(0, len(outputs.names) - 1, n + 2).round().astype(int)[1:-1])
    return tuple(outputs.names[place] for place in places)


class Images(Protocol):
    """The images of a run, by their path in the data."""

    def pixels(self, name: str) -> Pixels:
        """Return an image as it is stored, ``(S, S, 3)`` uint8.

        Raises:
            DataError: it is damaged on the disk, or not there any more.
        """
        ...

    def file(self, name: str) -> Path | None:
        """Return the file of an image; None where it is not a file of its own, as in an archive."""
        ...


@dataclass(frozen=True)
class Data:
    """The data of a run.

    Attributes:
        counts: the number of images of each class in each split, by class and then by split.
        skipped: why images cannot be read, by path.
        findings: what spoils training or evaluation: duplicates, and imbalance of classes.
        warnings: what else a user should know, a line each.
        missing: why the last three are empty, where the data could not be opened; else None.
    """

    counts: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: Missing | None = None


@dataclass(frozen=True)
class Kernels:
    """The kernels of the first layer as one image ``(H, W, 3)`` uint8, and how much structure they have."""

    image: Pixels
    structure: float


@dataclass(frozen=True)
class HeatMap:
    """An image, a class, and the image coloured where it speaks for that class, ``(S, S, 3)`` uint8."""

    name: str
    label: str
    overlay: Pixels


@dataclass(frozen=True)
class Neighbours:
    """An image, and the training images nearest to it: paths and labels, the nearest first."""

    name: str
    nearest: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Foreign:
    """An image that shows none of the classes: what it shows, its pixels ``(H, W, 3)`` uint8, and the predictions."""

    title: str
    pixels: Pixels
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a run.

    Attributes:
        folder: the run folder.
        artifact: the trained network.
        settings: the content of ``settings.json``.
        history: its epochs.
        data: its data.
        evaluation: how it was evaluated: on ``test`` where the run has it, else on ``val``.
        images: its images.
        kernels: the kernels of its first layer.
        heat_maps: what it looks at in a few of the evaluated images.
        neighbours: the training images nearest to a few of the evaluated images.
        foreign: what it predicts for images that show none of its classes.
    """

    folder: Path
    artifact: Artifact
    settings: Mapping[str, Any] | Missing
    history: tuple[EpochReport, ...] | Missing
    data: Data | Missing
    evaluation: EvaluationResult | Missing
    images: Images | Missing
    kernels: Kernels | Missing
    heat_maps: tuple[HeatMap, ...] | Missing
    neighbours: tuple[Neighbours, ...] | Missing
    foreign: tuple[Foreign, ...] | Missing

    @property
    def outputs(self) -> Outputs:
        """What the network predicts for the evaluated images.

        Raises:
            Missing: it could not be evaluated.
        """
        return known(self.evaluation).outputs
