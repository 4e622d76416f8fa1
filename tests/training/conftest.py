"""A smaller network for tests that train: what they prove of it holds for the default one."""

from collections.abc import Iterator

import pytest

from alexnet.network.value.variants import VARIANTS

from .small import SMALL


@pytest.fixture(scope="module", autouse=True)
def _smaller_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "batchnorm", SMALL)
        yield
