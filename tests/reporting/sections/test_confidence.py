from dataclasses import replace

import pytest

from alexnet.reporting.facts import known
from alexnet.reporting.sections.confidence import confidence

from ..made_up import evaluation_of, facts_of, outputs_of


def test_before_and_after_are_beside_each_other(tmp_path) -> None:
    facts = facts_of(tmp_path, 5, 300)
    html = confidence(facts)
    result = known(facts.evaluation)
    assert html.count('<svg class="chart"') == 2
    assert html.index("without calibration: the share") < html.index("with calibration: the share")
    assert f"The calibration error is {result.scores.ece:.3f}, and {result.uncalibrated_ece:.3f} without" in html
    assert "divides the logits by 1.30" in html
    assert "less sure" in html


@pytest.mark.parametrize("temperature", [1.0, None])
def test_without_a_temperature_there_is_one_diagram(temperature, tmp_path) -> None:
    html = confidence(facts_of(tmp_path, outputs=replace(outputs_of(5, 300), temperature=temperature)))
    assert html.count('<svg class="chart"') == 1
    assert "no temperature of its own" in html


def test_it_says_whether_the_network_is_too_sure(tmp_path) -> None:
    outputs = outputs_of(5, 300)
    surer = replace(outputs, labels=(outputs.predicted + 1) % 5)
    assert "too sure" in confidence(facts_of(tmp_path, evaluation=evaluation_of(surer)))
    never = replace(outputs, labels=outputs.predicted)
    assert "less sure than it could be" in confidence(facts_of(tmp_path, evaluation=evaluation_of(never)))
