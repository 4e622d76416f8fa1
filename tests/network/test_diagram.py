import json
import re
from pathlib import Path

import torchinfo

from alexnet import AlexNet, summary
from alexnet.network import diagram
from alexnet.network.value.changes import resolve

from ..conftest import SHARED

GOLDEN = (Path(__file__).parents[1] / "golden" / "alexnet_table.txt").read_text(encoding="utf-8")


def test_table_is_the_reference_documents_to_the_character() -> None:
    assert diagram.table(resolve(n_classes=3)) + "\n" == GOLDEN
    assert len(GOLDEN.splitlines()) == 49


def test_golden_table_is_in_the_reference_document() -> None:
    document = SHARED / "seed" / "alexnet.md"
    if document.exists():
        assert GOLDEN in document.read_text(encoding="utf-8")


def test_table_of_a_model_is_that_of_its_architecture() -> None:
    assert summary(AlexNet(n_classes=3)) + "\n" == GOLDEN


def test_counts_equal_torchinfos() -> None:
    for size in (67, 128, 224):
        net = resolve(n_classes=10, image_size=size)
        counted = torchinfo.summary(AlexNet(net), (1, 3, size, size), verbose=0)
        assert counted.total_mult_adds == net.n_mult_adds
        assert counted.total_params == net.n_parameters


def test_drawing_corrects_the_documents_drawing() -> None:
    drawing = diagram.mermaid(resolve(n_classes=3))
    lines = drawing.splitlines()
    assert lines[0] == "graph TD;"
    assert lines[1] == '    A[Input: 3 x 224 x 224] ---> B["Conv(kernel=11 x 11,stride=4): 96 x 54 x 54"];'
    boxes = re.findall(r'\["(.*?)"\]', drawing)
    assert boxes[-4] == "Pool(max,kernel=3 x 3,stride=2): 256 x 5 x 5"
    assert boxes[-5] == "Conv(kernel=3 x 3,pad=1): 256 x 12 x 12"
    assert boxes[-3:] == ["Linear(): 4096", "Linear(): 4096", "Linear(): 3"]
    assert lines[-1].endswith("[Output];")


def test_drawing_follows_the_architecture() -> None:
    drawing = diagram.mermaid(resolve(n_classes=3, in_channels=1, image_size=128))
    assert "[Input: 1 x 128 x 128]" in drawing
    assert "AdaptiveAvgPool(5 x 5)" in drawing


def test_json_adds_up() -> None:
    whole = json.loads(diagram.as_json(resolve(n_classes=3)))
    assert whole["n_parameters"] == 46_762_051 == sum(op["n_parameters"] for op in whole["operations"])
    assert whole["smallest_image_size"] == 67
