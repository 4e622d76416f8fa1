import hashlib
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import pytest

from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.curves import GREEN, GREY, as_svg, curves

FIRST = EpochReport(1, 1.5, 1.25, 0.5, 0.01, 3.0, 40.0, 131)
SVG = "{http://www.w3.org/2000/svg}"


def history(*sizes: int) -> list[EpochReport]:
    """A training of one epoch at each size, with the lowest loss on val after the one before the last."""
    n = len(sizes)
    return [
        replace(
            FIRST, epoch=i + 1, image_size=size, train_loss=1.5 / (i + 1), val_loss=abs(n - 1.5 - i), val_top1=i / n
        )
        for i, size in enumerate(sizes)
    ]


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_it_says_where_training_is_and_which_epoch_is_the_best() -> None:
    words = texts(as_svg(curves(history(224, 224, 224, 224))))
    assert "val top-1 0.750 after epoch 4" in words
    assert "lowest val loss: epoch 3" in words
    assert {"train", "val", "loss (nats)", "val top-1", "epoch"} <= set(words)
    assert not [word for word in words if word.endswith("px")], "all epochs have the same size"


def test_the_best_epoch_has_the_size_of_the_last() -> None:
    """Losses at other sizes do not compare."""
    epochs = history(131, 131, 163, 224, 224)
    epochs[0] = replace(epochs[0], val_loss=0.01)
    words = texts(as_svg(curves(epochs)))
    assert "lowest val loss: epoch 4" in words
    assert [word for word in words if word.endswith("px")] == ["131 px", "163 px", "224 px"]


@pytest.mark.parametrize("n", [1, 2, 200])
def test_the_curve_of_top1_has_a_point_for_each_epoch(n) -> None:
    epochs = [replace(FIRST, epoch=i + 1, val_top1=(37 * i % 11) / 11) for i in range(n)]
    root = ElementTree.fromstring(as_svg(curves(epochs)))
    lines = [
        path.get("d", "") for path in root.iter(f"{SVG}path") if f"stroke: {GREEN}".lower() in path.get("style", "")
    ]
    assert max(line.count("M") + line.count("L") for line in lines) == n


def test_it_is_read_on_light_and_on_dark_pages() -> None:
    root = ElementTree.fromstring(as_svg(curves(history(131, 224, 224))))
    assert {GREY.lower()} == {
        part.split(":")[1].strip()
        for text in root.iter(f"{SVG}text")
        for part in text.get("style", "").split(";")
        if part.strip().startswith("fill:")
    }
    background = next(path for path in root.iter(f"{SVG}path"))
    assert "fill: none" in background.get("style", "")


def test_the_file_depends_on_the_history_alone() -> None:
    """Not on the time, the process or a matplotlibrc; and pyplot, which looks for a display, is not needed."""
    script = f"""
import hashlib, sys
from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.curves import as_svg, curves
svg = as_svg(curves({history(131, 224)!r}))
print(hashlib.sha256(svg.encode()).hexdigest(), "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "black", "font.size": 30, "lines.marker": "x"}):
        here = as_svg(curves(history(131, 224)))
    assert done.stdout.split() == [hashlib.sha256(here.encode()).hexdigest(), "False"]
    assert "<dc:date>" not in here
