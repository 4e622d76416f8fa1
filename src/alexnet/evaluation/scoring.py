"""Evaluate a saved model, or the mean of several, on labelled images; compare it with another on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alexnet.data.parallel import Track, untracked
from alexnet.evaluation.card import evaluation_card
from alexnet.evaluation.comparison import Comparison, compare_outputs
from alexnet.evaluation.outputs import Outputs, mean_of
from alexnet.evaluation.predicting import PathLike, Predicted, predict_labelled
from alexnet.evaluation.scores.calibration import calibration_error
from alexnet.evaluation.scores.intervals import Interval, error_of_calibrated, intervals
from alexnet.evaluation.scores.metrics import Scores, score
from alexnet.html.elements import Html
from alexnet.inference.engines.engine import EngineName


@dataclass(frozen=True)
class EvaluationResult:
    """The scores of a model, and the data they were computed on.

    Attributes:
        scores: the scores.
        intervals: the 95% intervals of its headline scores, by name: see ``scores.intervals.intervals``.
        uncalibrated_ece: the calibration error without the temperature; None for several models.
        ece_if_calibrated: between which calibration errors a perfectly calibrated network would be on as many images.
        data: name of the data.
        split: the split of the data; None for all of it.
        skipped: why images could not be read, by path.
        warnings: what a user should know about the data, a line each.
        views: how many views of each image were averaged.
        n_models: how many models were averaged.
        outputs: what the model predicts for each image.
        other: the result of the model that it was compared with, on the same images; else None.
        comparison: how the two differ; None without ``other``.
        engines: what computed the outputs of each model, for people.
    """

    scores: Scores
    intervals: dict[str, Interval]
    uncalibrated_ece: float | None
    ece_if_calibrated: Interval
    data: str
    split: str | None
    skipped: dict[str, str]
    warnings: tuple[str, ...]
    views: int
    n_models: int
    outputs: Outputs = field(compare=False, repr=False)
    other: "EvaluationResult | None" = None
    comparison: Comparison | None = None
    engines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``alexnet evaluate --json`` prints."""
        whole = {
            **self.scores.to_json(),
            "intervals": {name: each.to_json() for name, each in self.intervals.items()},
            "uncalibrated_ece": self.uncalibrated_ece,
            "ece_if_calibrated": self.ece_if_calibrated.to_json(),
        }
        if self.other is not None and self.comparison is not None:
            whole["compare"] = {"other": self.other.to_json(), **self.comparison.to_json()}
        return whole

    def _repr_html_(self) -> Html:
        """Return what a notebook shows: the headline numbers and the confusion matrix."""
        return evaluation_card(self.title, self.scores, self.intervals, self.warnings)

    @property
    def title(self) -> str:
        """What was evaluated, in words."""
        images = f"{self.split} images" if self.split else "images"
        views = f", {self.views} views of each" if self.views > 1 else ""
        models = f", mean of {self.n_models} networks" if self.n_models > 1 else ""
        return f"{self.scores.n_images} {images} of {self.data}{views}{models}"


def evaluate(
    model: PathLike,
    data: PathLike | None = None,
    *,
    split: str | None = None,
    views: int = 1,
    ensemble: Sequence[PathLike] = (),
    compare: PathLike | None = None,
    data_dir: PathLike | None = None,
    max_pixels: int | None = None,
    engine: EngineName = "auto",
    track: Track = untracked,
) -> EvaluationResult:
    """Evaluate a saved model on labelled images; labels are matched by name.

    Images that the model learned from are left out, with a warning, wherever they are stored: see
    ``selection.choice.select``.

    Args:
        model: a run folder, a model folder, an export, or ``hf:user/name`` on the Hugging Face hub.
        data: as for training; the data of the run where not given.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.
        views: 1 for the whole image; 10 for the mean over five windows and their mirror images (section 4.1).
        ensemble: more models of the same classes; the mean of all probabilities is evaluated (section 6).
        compare: another model, to compare with on the same images: ``comparison`` in the result.
        data_dir: where named sets are; as in training where not given.
        max_pixels: larger images are refused; as in training where not given.
        engine: what runs the models: ``torch``, ``onnxruntime`` or ``openvino``; auto: the fastest that is installed.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, it is damaged, or an exported model fails its own test on this machine.
        DataError: there is no such data, split, or class.
        SettingsError: ``views`` is neither 1 nor 10, the models do not have the same classes, or the engine cannot run
            them.
    """
    models = (model, *ensemble)
    predicted = predict_labelled(
        models if compare is None else (*models, compare),
        data,
        split=split,
        views=views,
        data_dir=data_dir,
        max_pixels=max_pixels,
        engine=engine,
        track=track,
    )
    n, engines = len(models), predicted.engines
    outputs = mean_of(predicted.outputs[:n])
    result = _result(predicted, outputs, views, engines[:n])
    if compare is None:
        return result
    other = predicted.outputs[-1]
    compared = _result(predicted, other, views, engines[n:])
    return replace(result, other=compared, comparison=compare_outputs(outputs, other))


def _result(predicted: Predicted, outputs: Outputs, views: int, engines: tuple[str, ...]) -> EvaluationResult:
    before, warnings = outputs.uncalibrated, predicted.warnings
    if predicted.split == "val" and outputs.has_temperature:
        warnings += ("the temperature was fitted on val images: on new ones the calibration error is larger",)
    return EvaluationResult(
        scores=score(outputs.log_probabilities, outputs.labels, outputs.classes),
        intervals=intervals(outputs.log_probabilities, outputs.labels),
        uncalibrated_ece=None if before is None else calibration_error(np.exp(before), outputs.labels),
        ece_if_calibrated=error_of_calibrated(outputs.probabilities.max(axis=1)),
        data=predicted.source.name,
        split=predicted.split,
        skipped=predicted.skipped,
        warnings=warnings,
        views=views,
        n_models=len(engines),
        outputs=outputs,
        engines=engines,
    )
