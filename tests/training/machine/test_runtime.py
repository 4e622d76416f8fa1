import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from alexnet.errors import SettingsError
from alexnet.training.machine import runtime
from alexnet.training.machine.runtime import Runtime, detect, keep_memory, set_compiler_cache


def test_what_is_asked_for_is_given() -> None:
    assert detect("cpu", "fp32").precision == "fp32"
    assert detect("cpu", "bf16").precision == "bf16"
    assert detect("auto", "auto").device.type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(("bf16_takes", "precision"), [(0.5, "bf16"), (2.0, "fp32")])
def test_bf16_is_chosen_only_where_it_is_faster(monkeypatch, bf16_takes, precision) -> None:
    """On some machines that have the instructions float32 is twice as fast."""
    now = 0.0

    def multiply(a, b) -> None:
        nonlocal now
        now += bf16_takes if a.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(runtime, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(torch, "mm", multiply)
    monkeypatch.setattr(runtime, "time", SimpleNamespace(perf_counter=lambda: now))
    runtime._cpu_prefers_bf16.cache_clear()
    try:
        assert detect("cpu").precision == precision
    finally:
        runtime._cpu_prefers_bf16.cache_clear()


def test_without_the_instructions_bf16_is_not_even_tried(monkeypatch) -> None:
    monkeypatch.setattr(runtime, "_cpu_has_bf16", lambda: False)
    monkeypatch.setattr(runtime, "_cpu_prefers_bf16", lambda: pytest.fail("emulated bf16 is slow"))
    assert detect("cpu").precision == "fp32"


@pytest.mark.parametrize(
    ("began_in", "began_on", "has_bf16", "goes_on_in"),
    [
        ("bf16", "cpu", True, "bf16"),
        ("fp32", "cpu", True, "fp32"),
        ("bf16", "cpu", False, "fp32"),  # another machine, that has no bf16
        ("fp32", "cuda:0", True, "bf16"),  # another kind of machine: what is the fastest here
        (None, None, True, "bf16"),
    ],
)
def test_a_run_goes_on_in_the_precision_it_began_in(monkeypatch, began_in, began_on, has_bf16, goes_on_in) -> None:
    """To measure is to get another answer some day, and bit for bit would be lost with it."""
    monkeypatch.setattr(runtime, "_cpu_has_bf16", lambda: has_bf16)
    monkeypatch.setattr(runtime, "_cpu_prefers_bf16", lambda: began_on != "cpu" or began_in == "fp32")
    resumed = began_in and Runtime(torch.device(began_on), began_in)
    assert detect("cpu", resumed=resumed).precision == goes_on_in
    assert detect("cpu", "bf16", resumed=resumed).precision == "bf16", "what the user says counts"


@pytest.mark.parametrize(
    ("began_on", "recorded", "n_cores", "kept"),
    [
        ("cpu", 2, 2, 2),
        ("cpu", 1, 64, 1),
        ("cpu", 4, 2, None),  # another machine, with fewer cores
        ("cuda:0", None, 2, None),
    ],
)
def test_a_resumed_run_keeps_its_threads(monkeypatch, began_on, recorded, n_cores, kept) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(runtime, "n_cores", lambda: n_cores)
    resumed = Runtime(torch.device(began_on), "fp32", recorded)
    assert detect("cpu", resumed=resumed).n_threads == kept
    assert detect("cpu").n_threads is None
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert detect("cpu", resumed=resumed).n_threads == torch.get_num_threads(), "what the user says counts"
    assert detect("cpu").n_threads == torch.get_num_threads()


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with Runtime(torch.device("cpu"), "fp32", before + 1).threads():
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before
    with Runtime(torch.device("cpu"), "fp32").threads():
        assert torch.get_num_threads() == before


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
    found = detect(name)
    assert (found.device, found.precision) == (torch.device("cuda", index), "bf16")
    assert two_gpus == [torch.device("cuda", index)], "torch.cuda.set_device refuses one without"


def test_each_of_several_processes_has_a_gpu_of_its_own(two_gpus, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert detect("auto").device == torch.device("cuda", 1)
    with pytest.raises(SettingsError, match="cannot share the device"):
        detect("cuda:0")


@pytest.mark.parametrize("lacking", ["getpass.getuser", "tempfile.gettempdir"])
def test_the_compiler_has_a_cache_where_it_would_find_none(monkeypatch, tmp_path, lacking) -> None:
    """facebookresearch/detectron2 #381: getpwuid(): uid not found, in plain training too."""

    def fail() -> None:
        raise KeyError("getpwuid(): uid not found: 12345") if "user" in lacking else FileNotFoundError("no folder")

    # That torch may have set one already, and sets one, is none of this test's business.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path))
    set_compiler_cache()
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ, "where it finds one by itself"
    monkeypatch.setattr(lacking, fail)
    set_compiler_cache()
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).is_relative_to(tmp_path)
