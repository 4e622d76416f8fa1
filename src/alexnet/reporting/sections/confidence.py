"""Whether the probabilities can be believed: reliability diagrams before and after the temperature."""

import numpy as np
from markupsafe import Markup

from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scores.calibration import reliability
from alexnet.evaluation.scoring import EvaluationResult
from alexnet.reporting.charts import reliability_chart
from alexnet.reporting.facts import Facts, known
from alexnet.reporting.html import grid, lines, paragraph


def confidence(facts: Facts) -> Markup:
    """Return how often predictions of each probability are right."""
    result = known(facts.evaluation)
    outputs = result.outputs
    charts = [reliability_chart(reliability(outputs.probabilities, outputs.labels), "with calibration")]
    if outputs.uncalibrated is not None and outputs.temperature != 1:
        before = reliability(np.exp(outputs.uncalibrated), outputs.labels)
        charts.insert(0, reliability_chart(before, "without calibration"))
    return lines((
        paragraph(
            "Of the predictions with a probability of 80%, are 80% right? A bar that ends at the dashed line says so.",
            "The number above a bar counts its images: a bar with few says little.",
        ),
        grid(charts, "charts"),
        paragraph(_sureness(result.outputs), _errors(result), _temperature(outputs.temperature)),
    ))  # fmt: skip


def _sureness(outputs: Outputs) -> str:
    sure, right = float(outputs.probabilities.max(axis=1).mean()), float(outputs.is_right.mean())
    if abs(sure - right) < 0.01:
        how = "about as sure as it should be"
    else:
        how = "too sure" if sure > right else "less sure than it could be"
    return f"The mean probability of its predictions is {sure:.1%}, and {right:.1%} are right: on average it is {how}."


def _errors(result: EvaluationResult) -> str:
    chance, has_temperature = result.ece_if_calibrated, result.outputs.has_temperature
    without = f", and {result.uncalibrated_ece:.3f} without calibration" if has_temperature else ""
    return (
        f"The calibration error is {result.scores.ece:.3f}{without}. On as many images, that of a perfectly calibrated "
        f"network would lie between {chance.low:.3f} and {chance.high:.3f}."
    )


def _temperature(temperature: float | None) -> str:
    if temperature is None or temperature == 1:
        return "This network has no temperature of its own: its probabilities are those of the plain softmax."
    makes = "less" if temperature > 1 else "more"
    return (
        f"Calibration divides the logits by {temperature:.2f}, a temperature fitted on val after training. It makes "
        f"the network {makes} sure, and never changes which class is the most probable."
    )
