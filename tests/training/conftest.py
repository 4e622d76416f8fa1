"""Smaller networks for tests that train: what they prove holds for the default ones."""

from collections.abc import Iterator

import pytest

from alexnet.network.value.variants import VARIANTS

from .small import SMALL, SMALL_FOR_SMALL_IMAGES


@pytest.fixture(scope="module", autouse=True)
def _smaller_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "batchnorm", SMALL)
        patch.setitem(VARIANTS, "small", SMALL_FOR_SMALL_IMAGES)
        yield
