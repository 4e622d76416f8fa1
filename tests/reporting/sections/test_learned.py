import re
from dataclasses import replace

import pytest

from alexnet.reporting.facts import HeatMap, Missing, Neighbours
from alexnet.reporting.sections.learned import attention, first_kernels, guesses, nearest

from ..made_up import MadeUpImages, facts_of


@pytest.mark.parametrize(("n_classes", "n_bars"), [(3, 3), (12, 5)])
def test_panels_have_at_most_five_guesses_most_probable_first(n_classes, n_bars, tmp_path) -> None:
    html = guesses(facts_of(tmp_path, n_classes, 100))
    panels = html.split("<figure")[1:]
    assert len(panels) == 8
    for panel in panels:
        shares = [float(share) for share in re.findall(r"--share:([\d.]+)", panel)]
        assert len(shares) == n_bars
        assert shares == sorted(shares, reverse=True)
        assert ('class="panel right"' in panel) == panel.partition("<ol")[2].partition("<li")[2].startswith(
            ' class="right"'
        )


def test_a_map_stands_beside_its_image(tmp_path) -> None:
    facts = facts_of(tmp_path)
    name = facts.outputs.names[0]
    other = HeatMap(name, facts.outputs.classes[1], MadeUpImages().pixels("another"))
    html = attention(replace(facts, heat_maps=(other,)))
    assert html.count("<img") == 2
    assert html.count('class="card wrong"') == 1
    first, second = re.findall(r'src="(data:[^"]+)"', html)
    assert first != second


def test_neighbours_of_another_class_are_marked(tmp_path) -> None:
    facts = facts_of(tmp_path)
    name, classes = facts.outputs.names[0], facts.outputs.classes
    own = classes[int(facts.outputs.labels[0])]
    stranger = next(label for label in classes if label != own)
    html = nearest(replace(facts, neighbours=(Neighbours(name, (("train/a.jpg", own), ("train/b.jpg", stranger))),)))
    assert html.count("<figure") == 3
    assert html.count('class="card wrong"') == 1
    assert "train/a.jpg" in html


def test_kernels_stand_with_their_measure(tmp_path) -> None:
    html = first_kernels(facts_of(tmp_path))
    assert "data:image/png" in html
    assert "0.71 on average" in html


@pytest.mark.parametrize(
    ("field", "make"), [("heat_maps", attention), ("neighbours", nearest), ("kernels", first_kernels)]
)
def test_what_is_missing_is_said_by_the_page(field, make, tmp_path) -> None:
    facts = replace(facts_of(tmp_path), **{field: Missing("no such layer")})
    assert isinstance(getattr(facts, field), Missing)
    with pytest.raises(Missing, match="no such layer"):
        make(facts)
