"""A smaller network for tests that train: saving 47 million weights would take most of their time."""

from dataclasses import replace

import pytest

from alexnet.network.value.variants import VARIANTS


@pytest.fixture(autouse=True)
def _smaller_network(monkeypatch: pytest.MonkeyPatch) -> None:
    net = VARIANTS["batchnorm"]
    monkeypatch.setitem(VARIANTS, "batchnorm", replace(net, hidden=tuple(min(n, 64) for n in net.hidden)))
