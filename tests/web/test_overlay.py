"""The overlay in JavaScript against the panel in Python."""

from typing import Any

import numpy as np
import pytest

from alexnet.explanation.panel import overlay
from alexnet.explanation.result import ClassMap
from alexnet.explanation.windows import fields
from alexnet.network.value.variants import VARIANTS
from alexnet.web.build import script

DRAW = """map => {
  const canvas = document.createElement("canvas");
  drawMap(canvas, map);
  return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.fixture(scope="module")
def drawing(browser) -> Any:
    page = browser.new_page()
    page.add_script_tag(content=script(("overlay.js",)))
    yield page
    page.close()


@pytest.mark.parametrize("variant", ["batchnorm", "small", "torchvision"])
def test_it_lies_where_the_panel_draws_it(variant, drawing) -> None:
    field = list(fields(VARIANTS[variant]).values())[-1]
    values = np.random.default_rng(0).random((field.n, field.n)) ** 3
    found = drawing.evaluate(DRAW, {"values": values.tolist(), "field": vars(field)})
    found = np.array(found, float).reshape(192, 192, 4)
    grey = np.full((192, 192, 3), 100, np.uint8)
    share = found[..., 3:] / 255
    drawn = (100 * 0.8 + 51) * (1 - share) + found[..., :3] * share
    assert np.abs(drawn - overlay(grey, ClassMap("a", values, field))).max() < 4


def test_a_map_of_zeros_covers_nothing(drawing) -> None:
    field = vars(list(fields(VARIANTS["small"]).values())[-1])
    found = drawing.evaluate(DRAW, {"values": [[0.0] * field["n"]] * field["n"], "field": field})
    assert not any(found)


@pytest.mark.parametrize(("how", "size", "part"), [
    ("squash", (40, 10), (0, 0, 1, 1)),
    ("crop", (40, 10), (0.375, 0, 0.25, 1)),
    ("pad", (40, 10), (0, -1.5, 1, 4)),
    ("crop", (10, 40), (0, 0.375, 1, 0.25)),
])  # fmt: skip
def test_the_square_that_the_network_sees_lies_in_the_middle(how, size, part, drawing) -> None:
    found = drawing.evaluate("([how, width, height]) => seenPart(how, width, height)", [how, *size])
    assert tuple(found[name] for name in ("left", "top", "width", "height")) == pytest.approx(part)
