import re
from dataclasses import replace

import numpy as np
import pytest

from alexnet.reporting.facts import Missing, known
from alexnet.reporting.sections.classes import MOST_PIXELS, class_table, confusion, matrix_image

from ..made_up import AWKWARD, facts_of, outputs_of


def rows_of(html: str) -> list[list[str]]:
    """Return the text of the cells of each row of a table."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)
    ]


def test_few_classes_have_their_numbers(tmp_path) -> None:
    facts = facts_of(tmp_path, 3, 60)
    counts = known(facts.evaluation).scores.confusion
    shown = [[0 if cell == "&middot;" else int(cell) for cell in row[1:]] for row in rows_of(confusion(facts))]
    assert shown == [list(row) for row in counts]


@pytest.mark.parametrize(("n_classes", "is_image"), [(30, False), (31, True)])
def test_many_classes_are_an_image(n_classes, is_image, tmp_path) -> None:
    html = confusion(facts_of(tmp_path, n_classes, 200))
    assert ("data:image/png" in html) == is_image
    assert ('class="matrix"' in html) != is_image
    assert "Most confused pairs" in html


def test_the_matrix_is_blue_where_it_is_right_and_red_where_it_is_wrong() -> None:
    counts = np.array([[9, 0, 0], [0, 0, 4], [0, 0, 0]])
    image = matrix_image(counts).astype(int)
    assert image.shape == (3, 3, 3)
    assert image[0, 0].argmax() == 2
    assert image[1, 2].argmax() == 0
    white = [(0, 1), (1, 1), (2, 0), (2, 2)]
    assert all((image[place] == 255).all() for place in white), "a class without images divides by nothing"


def test_the_image_of_very_many_classes_keeps_each_mistake() -> None:
    counts = np.eye(2500, dtype=np.int64)
    counts[2499, 0] = 1
    image = matrix_image(counts)
    assert max(image.shape) <= MOST_PIXELS
    assert image[-1, 0].argmax() == 0
    assert image[-1, 0].min() < 150


def test_the_most_confused_pairs_come_first(tmp_path) -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] * 10)
    predicted = np.array([0] * 5 + [1] * 5 + [1] * 9 + [0] + [2] * 8 + [0] * 2)
    outputs = replace(
        outputs_of(3, 30),
        classes=("a", "b", "c"),
        labels=labels,
        log_probabilities=np.log(0.05 + 0.85 * np.eye(3)[predicted]),
    )
    html = confusion(facts_of(tmp_path, outputs=outputs))
    pairs = rows_of(html.partition("Most confused pairs")[2])
    assert pairs == [["a", "b", "5", "50.0%"], ["c", "a", "2", "20.0%"], ["b", "a", "1", "10.0%"]]
    assert "8 mistakes in all." in html
    perfect = facts_of(tmp_path, outputs=outputs_of(3, 30, skill=np.inf))
    assert "No image is predicted wrong." in confusion(perfect)


def test_the_table_has_the_scores_of_each_class(tmp_path) -> None:
    facts = facts_of(tmp_path, 5, 200)
    scores = known(facts.evaluation).scores
    rows = rows_of(class_table(facts))
    assert [row[:6] for row in rows] == [
        [row[0], f"{80 + place}", f"{each.n_images}", f"{each.recall:.1%}", f"{each.precision:.1%}", f"{each.f1:.1%}"]
        for place, (row, each) in enumerate(zip(rows, scores.per_class, strict=True))
    ]
    assert "&lt;b&gt;bold&lt;/b&gt;" in rows[0][0]
    assert "aria-sort" in class_table(facts)


def test_scores_that_do_not_exist_are_dashes(tmp_path) -> None:
    outputs = outputs_of(4, 60, skill=np.inf)
    kept = outputs.labels != 3
    some = replace(
        outputs,
        names=tuple(name for name, is_kept in zip(outputs.names, kept, strict=True) if is_kept),
        labels=outputs.labels[kept],
        log_probabilities=outputs.log_probabilities[kept],
    )
    rows = rows_of(class_table(facts_of(tmp_path, outputs=some)))
    assert rows[3][2:6] == ["0", "&ndash;", "&ndash;", "&ndash;"], AWKWARD[3]
    assert rows[0][3:7] == ["100.0%", "100.0%", "100.0%", ""]
    without = class_table(facts_of(tmp_path, outputs=some, data=Missing("gone")))
    assert rows_of(without)[0][1] == "&ndash;"
