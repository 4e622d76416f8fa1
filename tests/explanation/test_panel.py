import numpy as np
import pytest

from alexnet.data.batches.examples import Examples
from alexnet.explanation.channels import Channel, Patch
from alexnet.explanation.gallery import Gallery
from alexnet.explanation.kernels import Kernels
from alexnet.explanation.neighbours import Neighbour
from alexnet.explanation.panel import WIDTH, draw, overlay
from alexnet.explanation.result import ClassMap, Explanation
from alexnet.explanation.windows import Field, Window
from alexnet.inference.classifier import Prediction

FIELD = Field(size=16, stride=16, start=0, n=4, image_size=64, end=64)
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
KERNELS = Kernels(np.random.default_rng(0).normal(size=(12, 3, 5, 5)).astype(np.float32))
STORED = np.stack([np.full((64, 64, 3), level, np.uint8) for level in (10, 20, 30)])
GALLERY = Gallery(
    ("a.jpg", "b.jpg", "c.jpg"), ("x", "y", "z"), np.zeros((3, 4), np.float16), {},
    Examples(STORED, np.array([2, 1, 0]), np.zeros(3, np.int64)),
)  # fmt: skip


def map_of(values: np.ndarray, label: str = "cat") -> ClassMap:
    return ClassMap(label, values, FIELD)


def explanation_of(path: str = "some/image.jpg", label: str = "cat", *, full: bool = True) -> Explanation:
    predictions = (Prediction(label, 0.6), Prediction("dog", 0.4))
    maps = (map_of(np.eye(4), label), map_of(np.zeros((4, 4)), "dog"))
    if not full:
        return Explanation(path, predictions, maps)
    patches = tuple(Patch("a.jpg", "x", Window(0, 0, 0.1, 1), row) for row in range(3))
    channels = tuple(
        Channel(f"conv{layer}", number, 2.5, Window(0.5, 0.5, 1, 1), patches)
        for layer in range(1, 6)
        for number in range(3)
    )
    neighbours = tuple(Neighbour("a.jpg", label, 1.0, row) for row in (0, 1, 2))
    return Explanation(path, predictions, maps, channels, neighbours)


def test_the_overlay_is_coloured_where_the_map_is_large() -> None:
    values = np.zeros((4, 4))
    values[0, 0] = 5.0
    shown = overlay(IMAGE, map_of(values)).astype(int)
    assert shown.shape == (64, 64, 3)
    assert (shown[4:12, 4:12, 0] - shown[4:12, 4:12, 2]).min() > 50, "red"
    far = shown[40:, 40:]
    assert (far == far[..., :1]).all(), "grey"
    assert far.std() > 20, "the image stays visible"


def test_where_nothing_speaks_for_a_class_nothing_is_coloured() -> None:
    shown = overlay(IMAGE, map_of(np.zeros((4, 4))))
    assert (shown == shown[..., :1]).all()


def test_a_panel_shows_every_part() -> None:
    page = np.asarray(draw(explanation_of(), IMAGE, KERNELS, GALLERY))
    assert page.shape[1] == WIDTH
    is_blank = (page == 255).all(axis=(1, 2))
    assert is_blank[:10].all()
    assert is_blank[-5:].all()
    gaps = np.diff(np.flatnonzero(~is_blank)).max()
    assert gaps < 60, "no part is missing"
    for level in (10, 20, 30):
        assert (page == level).all(axis=2).sum() > 100 * 100, "each of the training images"
    less = np.asarray(draw(explanation_of(full=False), IMAGE, KERNELS))
    assert less.shape[0] < page.shape[0] - 300


def test_a_panel_without_maps() -> None:
    page = draw(Explanation("a.jpg", (Prediction("cat", 1.0),)), IMAGE, KERNELS)
    assert page.width == WIDTH


@pytest.mark.parametrize(
    "name",
    ["x" * 500, "two\nlines", "tab\there", "bytes \udcff that are no text", "垃圾", "a\\b", "", "\N{GRINNING FACE}"],
)
def test_any_name_is_drawn_on_one_line(name) -> None:
    usual = draw(explanation_of(), IMAGE, KERNELS, GALLERY)
    assert draw(explanation_of(f"{name}.jpg", name), IMAGE, KERNELS, GALLERY).size == usual.size


def test_small_and_odd_kernels_are_drawn() -> None:
    for shape in ((1, 3, 1, 1), (200, 1, 11, 11), (97, 3, 3, 3)):
        draw(explanation_of(), IMAGE, Kernels(np.ones(shape, np.float32)), GALLERY)
