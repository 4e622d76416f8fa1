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


@pytest.fixture
def two_gpus(monkeypatch) -> list[torch.device]:
    """A machine that says it has two GPUs; returns those that were chosen."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    return chosen


@pytest.mark.parametrize(("name", "index"), [("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_is_known_by_its_number(two_gpus, name, index) -> None:
    runtime = detect(name)
    assert (runtime.device, runtime.precision) == (torch.device("cuda", index), "bf16")
    assert two_gpus == [torch.device("cuda", index)], "torch.cuda.set_device refuses one without"


def test_each_of_several_processes_has_a_gpu_of_its_own(two_gpus, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert detect("auto").device == torch.device("cuda", 1)
    with pytest.raises(SettingsError, match="need a device each"):
        detect("cuda:0")
