import functools
from collections.abc import Iterator

import pytest
from onnxscript._framework_apis import torch_2_5


@pytest.fixture(scope="session", autouse=True)
def _operators_are_read_once() -> Iterator[None]:
    """Read the exporter's 500 operators once, not for each export: that takes more than half of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_2_5, "get_torchlib_ops", functools.cache(torch_2_5.get_torchlib_ops))
        yield
