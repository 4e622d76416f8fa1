"""A smaller network for tests that train: what they prove of it holds for the default one."""

import pytest

from alexnet.network.value.variants import VARIANTS

from .small import SMALL


@pytest.fixture(autouse=True)
def _smaller_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "batchnorm", SMALL)
