import re
from dataclasses import replace

import numpy as np

from alexnet.evaluation.scores.intervals import Interval
from alexnet.reporting.facts import known
from alexnet.reporting.sections.headline import headline

from ..made_up import evaluation_of, facts_of, outputs_of


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_numbers_stand_with_their_intervals(tmp_path) -> None:
    facts = facts_of(tmp_path, 12, 300)
    result = known(facts.evaluation)
    text = text_of(headline(facts))
    for name in ("top1", "top5", "macro_recall"):
        value, interval = getattr(result.scores, name), result.intervals[name]
        assert f"{value:.1%} {interval.low:.1%} to {interval.high:.1%}" in text, name
    assert f"{result.scores.loss:.3f} {result.intervals['loss'].low:.3f} to" in text
    assert f"{result.scores.ece:.3f} {result.uncalibrated_ece:.3f} before calibration" in text
    assert "of 300 test images" in text
    assert "2.48" in text, "ln 12, the loss of guessing"


def test_few_classes_have_no_top5_and_complete_ones_one_mean(tmp_path) -> None:
    text = text_of(headline(facts_of(tmp_path, 5)))
    assert "Top-5" not in text
    assert "Balanced accuracy" not in text


def test_where_a_class_has_no_images_both_means_are_shown(tmp_path) -> None:
    outputs = outputs_of(5, 60)
    changed = replace(outputs, labels=np.where(outputs.labels == 4, 3, outputs.labels))
    text = text_of(headline(facts_of(tmp_path, outputs=changed)))
    assert "Balanced accuracy" in text


def test_it_names_the_weakest_class_and_the_most_frequent_mistake(tmp_path) -> None:
    classes = ("glass", "metal", "paper")
    labels = np.repeat([0, 1, 2], 10)
    predicted = labels.copy()
    predicted[:4] = 1  # four of ten glass images
    predicted[10] = 2
    log_probabilities = np.log(np.full((30, 3), 0.1) + 0.7 * np.eye(3)[predicted])
    outputs = replace(
        outputs_of(3, 30), classes=classes, labels=labels, log_probabilities=log_probabilities
    )  # fmt: skip
    text = text_of(headline(facts_of(tmp_path, outputs=outputs)))
    assert "Its weakest class is glass: 60.0% of 10 images." in text
    assert "Most often it predicts metal for glass: 4 times." in text
    assert "would be right on 33.3%" in text


def test_a_network_without_a_mistake(tmp_path) -> None:
    text = text_of(headline(facts_of(tmp_path, outputs=outputs_of(3, 30, skill=np.inf))))
    assert "It makes no mistake on them." in text
    assert "Most often" not in text


def test_a_run_without_test_images_says_so(tmp_path) -> None:
    evaluation = evaluation_of(outputs_of(5, 60), split="val", warnings=("a <warning>",))
    html = headline(facts_of(tmp_path, evaluation=evaluation))
    assert "60 val images" in text_of(html)
    assert "has no test images" in html
    assert "a &lt;warning&gt;" in html


def test_intervals_are_drawn_where_they_are(tmp_path) -> None:
    intervals = {name: Interval(0.25, 0.5) for name in ("top1", "loss", "macro_recall")}
    html = headline(facts_of(tmp_path, evaluation=evaluation_of(outputs_of(5, 60), intervals=intervals)))
    assert html.count("--low:0.2500;--high:0.5000") == 2, "a loss has no line from 0 to 1"
