import pytest
import torch

from alexnet.errors import SettingsError
from alexnet.training.runtime import detect, keep_memory


def test_what_is_asked_for_is_given() -> None:
    assert detect("cpu", "fp32").precision == "fp32"
    assert detect("cpu", "bf16").precision == "bf16"
    assert detect("auto", "auto").device.type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("device", ["gpu", "cdua", ""])
def test_unknown_devices_are_refused(device) -> None:
    with pytest.raises(SettingsError, match="unknown device"):
        detect(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_devices_that_are_not_here_are_refused() -> None:
    with pytest.raises(SettingsError, match="not available"):
        detect("cuda")


def test_keeping_memory_is_harmless() -> None:
    keep_memory()
    keep_memory()
