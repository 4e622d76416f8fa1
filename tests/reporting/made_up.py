"""Facts of a run that never was, from random numbers: of any number of classes and images, without training."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from alexnet import Settings
from alexnet.data.findings import Finding
from alexnet.errors import DataError
from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scores.calibration import calibration_error
from alexnet.evaluation.scores.intervals import error_of_calibrated, intervals
from alexnet.evaluation.scores.metrics import score
from alexnet.evaluation.scoring import EvaluationResult
from alexnet.images.preprocessing import Preprocessing
from alexnet.inference.classifier import Prediction
from alexnet.inference.probability import log_softmax
from alexnet.model.artifact import Artifact
from alexnet.network.value.changes import resolve
from alexnet.reporting.facts import Data, Facts, Foreign, HeatMap, Kernels, Neighbours, sample
from alexnet.training.learning.reports import EpochReport

# Names that would break a page that does not escape them.
AWKWARD = ("<b>bold</b>", 'a "quoted" class', "ampersand & co", "Käse", "a_very_long_name_of_a_class_" * 4)


class MadeUpImages:
    """Images that differ by their names. Those of the first class are files."""

    def pixels(self, name: str) -> np.ndarray:
        if "damaged" in name:
            raise DataError(f"{name!r} is damaged on the disk")
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        small = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        return np.asarray(small.resize((256, 256), Image.Resampling.BICUBIC))

    def file(self, name: str) -> Path | None:
        return Path("/data/made up", name) if name.startswith("0/") else None


def outputs_of(n_classes: int, n_images: int, *, seed: int = 0, skill: float = 2.0) -> Outputs:
    """Return outputs that are right the more often, the more skill there is; infinite skill is always right."""
    rng = np.random.default_rng(seed)
    names = (*AWKWARD, *(f"class {number}" for number in range(n_classes)))[:n_classes]
    labels = np.sort(rng.integers(0, n_classes, n_images))
    logits = rng.normal(size=(n_images, n_classes))
    logits[np.arange(n_images), labels] += min(skill, 1e3) * rng.random(n_images) if np.isfinite(skill) else 100
    paths = tuple(f"{label}/image <{number}>.jpg" for number, label in enumerate(labels))
    return Outputs(names, paths, labels, log_softmax(logits), 1.3)


def evaluation_of(outputs: Outputs, **changes: Any) -> EvaluationResult:
    before = outputs.uncalibrated
    result = EvaluationResult(
        scores=score(outputs.log_probabilities, outputs.labels, outputs.classes),
        intervals=intervals(outputs.log_probabilities, outputs.labels),
        uncalibrated_ece=None if before is None else calibration_error(np.exp(before), outputs.labels),
        ece_if_calibrated=error_of_calibrated(outputs.probabilities.max(axis=1)),
        data="/data/made up",
        split="test",
        skipped={},
        warnings=(),
        views=1,
        n_models=1,
        outputs=outputs,
    )
    return replace(result, **changes)


def epochs(*sizes: int) -> tuple[EpochReport, ...]:
    """Return epochs with images of these sizes."""
    return tuple(
        EpochReport(
            number, train_loss=2 / number, val_loss=2.2 / number, val_top1=1 - 1 / (number + 1), lr=0.01, seconds=30.0,
            images_per_second=50.0, image_size=size,
        )
        for number, size in enumerate(sizes, start=1)
    )  # fmt: skip


def facts_of(folder: Path, n_classes: int = 5, n_images: int = 60, **changes: Any) -> Facts:
    """Return everything that a report shows.

    Args:
        folder: the run folder, which need not exist.
        n_classes: number of classes.
        n_images: number of evaluated images.
        changes: other values for fields of the facts.
    """
    outputs = changes.pop("outputs", None) or outputs_of(n_classes, n_images)
    rng = np.random.default_rng(1)
    pixels = MadeUpImages().pixels("any")
    settings = Settings(epochs=7, image_size=99, track=("tensorboard",))
    resolved = {"image_size": 99, "device": "cpu", "precision": "fp32", "n_threads": 2, "recipe": {"name": "modern"}}
    counts = {label: {"train": 80 + place, "val": 10, "test": 12} for place, label in enumerate(outputs.classes)}
    twice = Finding("duplicates", "the same image, 2 times", ("a & b.jpg", "c.jpg"), splits=("train",))
    made_up = Facts(
        folder=folder,
        artifact=Artifact(
            folder=folder / "model",
            architecture=resolve(n_classes=len(outputs.classes), image_size=99),
            classes=outputs.classes,
            preprocessing=Preprocessing(store_size=256),
            provenance={"data": "/data/made up", "epochs": 7, "alexnet": "0.1.0", "torch": "2.11", "finished": "today"},
        ),
        settings={"data": "/data/made up", **settings.to_json(), "resolved": resolved},
        history=epochs(67, 67, 67, 83, 83, 99, 99),
        data=Data(counts, {"x/broken.jpg": "the file is cut off"}, (twice,), ("a note",)),
        evaluation=evaluation_of(outputs),
        images=MadeUpImages(),
        kernels=Kernels(rng.integers(0, 256, (60, 160, 3), dtype=np.uint8), 0.71),
        heat_maps=tuple(HeatMap(name, outputs.classes[0], pixels) for name in sample(outputs, 4)),
        neighbours=tuple(
            Neighbours(name, tuple((other, outputs.classes[0]) for other in sample(outputs, 6)))
            for name in sample(outputs, 3)
        ),
        foreign=(Foreign("noise", pixels, tuple(Prediction(label, 0.2) for label in outputs.classes[:3])),),
    )
    return replace(made_up, **changes)
