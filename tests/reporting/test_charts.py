import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from alexnet.evaluation.scores.calibration import Bin, reliability
from alexnet.reporting.charts import curves_chart, reliability_chart

from .made_up import epochs, outputs_of


def bins() -> tuple[Bin, ...]:
    outputs = outputs_of(5, 200)
    return reliability(outputs.probabilities, outputs.labels)


CHARTS = {
    "curves": lambda: curves_chart(epochs(67, 67, 99)),
    "one epoch": lambda: curves_chart(epochs(67)),
    "many epochs": lambda: curves_chart(epochs(*[67] * 200)),
    "reliability": lambda: reliability_chart(bins(), "with calibration"),
    "one bin": lambda: reliability_chart(reliability(outputs_of(2, 1).probabilities, outputs_of(2, 1).labels), "x"),
}


@pytest.fixture(params=CHARTS)
def make(request):
    return CHARTS[request.param]


def test_a_chart_is_one_element_that_fits_its_place_and_the_page(make) -> None:
    svg = make()
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label")
    assert root.get("width") is None, "it is as wide as its place"
    assert "<style" not in svg, "a style would be for the whole page"
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", svg))
    assert colours == set(), "all colours are variables, which differ in light and dark"
    assert set(re.findall(r"font-family: ([^;\"]+)", svg)) == {"inherit"}


def test_the_same_numbers_give_the_same_chart(make) -> None:
    one, other = make(), make()
    assert one == other
    assert "dc:date" not in one


def test_two_charts_in_one_page_share_only_ids_of_equal_parts() -> None:
    """matplotlib names groups by their number, such as axes_1; clip paths by their content."""
    for one, other in pairwise(CHARTS.values()):
        ids = [set(re.findall(r'\bid="([^"]+)"', make())) for make in (one, other)]
        assert not any(re.fullmatch(r"\D+_\d+", each) for each in ids[0] | ids[1])


def test_bins_show_how_many_images_they_have() -> None:
    svg = reliability_chart(bins(), "with calibration")
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    counts = [str(each.n_images) for each in bins() if each.n_images]
    assert set(counts) <= set(texts)
    assert "200 images" in svg
