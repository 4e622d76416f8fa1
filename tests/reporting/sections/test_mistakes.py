import html as entities
import re

import numpy as np

from alexnet.reporting.sections.mistakes import N_UNSURE, N_WORST, confused_pairs, least_sure, worst_mistakes

from ..made_up import facts_of, outputs_of


def names_in(html: str) -> list[str]:
    """Return the paths of the images, in order."""
    return [entities.unescape(name) for name in re.findall(r'<small title="([^"]*)">', html)]


def test_the_least_probable_labels_come_first(tmp_path) -> None:
    facts = facts_of(tmp_path, 5, 200)
    outputs = facts.outputs
    wrong = np.flatnonzero(outputs.predicted != outputs.labels)
    expected = sorted(wrong, key=lambda number: outputs.own[number])[:N_WORST]
    html = worst_mistakes(facts)
    assert names_in(html) == [outputs.names[number] for number in expected]
    assert f"{len(wrong)} of 200 images predicted wrong" in html
    assert html.count('class="card wrong"') == N_WORST
    first = expected[0]
    assert f"{outputs.own[first]:.1%}" in html
    assert f"{outputs.probabilities[first].max():.1%}" in html


def test_right_ones_of_low_probability(tmp_path) -> None:
    facts = facts_of(tmp_path, 5, 200)
    outputs = facts.outputs
    right = np.flatnonzero(outputs.predicted == outputs.labels)
    expected = sorted(right, key=lambda number: outputs.own[number])[:N_UNSURE]
    html = least_sure(facts)
    assert names_in(html) == [outputs.names[number] for number in expected]
    assert html.count('class="card right"') == N_UNSURE


def test_pairs_are_of_both_directions_and_side_by_side(tmp_path) -> None:
    facts = facts_of(tmp_path, 4, 200)
    outputs = facts.outputs
    html = confused_pairs(facts)
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (outputs.labels, outputs.predicted), 1)
    both = np.triu(counts + counts.T, k=1)
    n_each = [int(n) for n in re.findall(r"<small>(\d+) images?</small></h3>", html)]
    assert n_each == sorted((int(n) for n in both[both > 0]), reverse=True)[:5]
    for name in names_in(html):
        number = outputs.names.index(name)
        assert outputs.labels[number] != outputs.predicted[number]


def test_a_network_without_a_mistake_has_none_to_show(tmp_path) -> None:
    facts = facts_of(tmp_path, outputs=outputs_of(3, 30, skill=np.inf))
    assert "No mistake on 30 images." in worst_mistakes(facts)
    assert "No two classes are confused." in confused_pairs(facts)
    assert least_sure(facts).count('class="card right"') == N_UNSURE


def test_a_network_that_is_always_wrong(tmp_path) -> None:
    outputs = outputs_of(3, 5)
    outputs.labels[:] = (outputs.predicted + 1) % 3
    facts = facts_of(tmp_path, outputs=outputs)
    assert "No image is predicted right." in least_sure(facts)
    assert worst_mistakes(facts).count("<figure") == 5
