from dataclasses import replace

import pytest

from alexnet import evaluate
from alexnet.evaluation.card import evaluation_card
from alexnet.evaluation.scores.intervals import Interval

from ..html.page import HOSTILE, Page


@pytest.fixture(scope="module")
def result(trained_run):
    return evaluate(trained_run)


def test_an_evaluation_shows_its_scores_and_its_matrix(result) -> None:
    page = Page(result._repr_html_())
    assert page.text.startswith(f"12 test images of {result.data}")
    for words, value in (("top-1", result.scores.top1), ("loss", result.scores.loss)):
        assert f"{words}{value:.3f}" in page.text
    assert "true \\ predictedbluegreenred" in page.text
    for label, row in zip(("blue", "green", "red"), result.scores.confusion, strict=True):
        assert label + "".join(str(count) for count in row if count) in page.text


def test_intervals_and_warnings_are_shown_where_there_are_some(result) -> None:
    interval = Interval(0.8384, 0.8921)
    text = Page(evaluation_card(HOSTILE, result.scores, {"top1": interval}, [HOSTILE])).text
    assert text.startswith(HOSTILE)
    assert f"top-1{result.scores.top1:.3f}0.838 to 0.892" in text
    assert text.endswith(f"warning: {HOSTILE}")


def test_any_class_name_is_shown_as_it_is(result) -> None:
    classes = [replace(score, label=f"{HOSTILE}{number}") for number, score in enumerate(result.scores.per_class)]
    page = Page(evaluation_card("", replace(result.scores, per_class=tuple(classes)), {}))
    assert f"{HOSTILE}0" in page.text
    assert page.names == {"div", "table", "tr", "th", "td"}
