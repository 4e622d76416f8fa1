"""Networks at random: every field of an architecture, at sizes where windows may hang over."""

from dataclasses import replace

from hypothesis import assume
from hypothesis import strategies as st

from alexnet import Architecture

from .value.test_architecture import layer_lists

LARGEST = 120


@st.composite
def networks(draw) -> Architecture:
    """Draw a network for RGB images of at most ``LARGEST`` px."""
    first, *others = draw(layer_lists())
    net = Architecture(
        layers=(replace(first, groups=1), *others),
        hidden=tuple(draw(st.lists(st.integers(2, 8), max_size=2))),
        grid=draw(st.integers(1, 3)),
        activation=draw(st.sampled_from(["relu", "tanh", "gelu", "silu"])),
        dropout=0.3,
        dropout_place=draw(st.sampled_from(["inputs", "outputs"])),
        dropout_scaling=draw(st.sampled_from(["training", "prediction"])),
        mean_image=draw(st.booleans()),
        n_classes=3,
        image_size=10_000,
    )
    size = net.smallest_image_size + draw(st.integers(0, 9))
    assume(size <= LARGEST)
    return replace(net, image_size=size)
