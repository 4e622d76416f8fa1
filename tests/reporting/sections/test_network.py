import re

import pytest

from alexnet.network.value.changes import resolve
from alexnet.network.value.variants import VARIANTS
from alexnet.reporting.sections.network import drawing, network

from ..made_up import facts_of


def test_every_operation_is_in_the_table_and_the_counts_add_up(tmp_path) -> None:
    facts = facts_of(tmp_path)
    net = facts.artifact.architecture
    html = network(facts)
    rows = re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2], flags=re.DOTALL)
    cells = [re.findall(r'<td(?: class="n")?>(.*?)</td>', row) for row in rows]
    assert [(row[0], row[1]) for row in cells[:-1]] == [(op.layer, op.kind) for op in net.operations()]
    assert sum(int(row[3].replace(",", "")) for row in cells[:-1] if row[3][0].isdigit()) == net.n_parameters
    assert cells[-1][3] == f"{net.n_parameters:,}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_drawing_has_every_layer_and_stays_inside(variant) -> None:
    net = resolve(VARIANTS[variant], n_classes=7)
    svg = drawing(net)
    names = re.findall(r'class="name">(.*?)</text>', svg)
    layers = [name for name, *_ in (*net.conv_layers(), *net.linear_layers())]
    assert names == ["image", *layers]
    (width, height) = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    boxes = re.findall(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', svg)
    assert len(boxes) == len(names)
    for x, y, wide, high in (map(float, box) for box in boxes):
        assert x >= 0 <= y
        assert x + wide <= width
        assert y + high <= height
