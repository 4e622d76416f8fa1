"""What the machine can do: device, precision, memory."""

import ctypes
import getpass
import math
import os
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from alexnet.data.batches.batches import Batch
from alexnet.data.store.cache import cache_folder
from alexnet.errors import SettingsError
from alexnet.training.choices.settings import Precision
from alexnet.training.machine.distributed import is_launched

PROBE_SIDE = 512
Arithmetic = Literal["bf16", "fp32"]


@dataclass(frozen=True)
class Runtime:
    """Where and in what arithmetic a network runs."""

    device: torch.device
    precision: Arithmetic

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which to run the network."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, model: nn.Module) -> None:
        """Move a network to the device, its convolutions channels last, which is how they compute fastest."""
        model.to(self.device)
        model.to(memory_format=torch.channels_last)

    def move(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device."""
        return tensor.to(self.device, non_blocking=True)

    def move_batch(self, batch: Batch) -> Batch:
        """Move the images and labels of a batch to the device."""
        return replace(batch, images=self.move(batch.images), labels=self.move(batch.labels))

    @property
    def crops(self) -> bool:
        """Whether images are cropped on the device, which a CPU would do twice then."""
        return self.device.type == "cuda"

    @property
    def largest_batch(self) -> int:
        """Images a step where that is left to the device. On a GPU a guess: none has been measured yet."""
        return 256 if self.device.type == "cuda" else 64

    def has_room_for(self, n_bytes: int) -> bool:
        """Return whether the device can keep this much beside a training: a third of what is free now."""
        return self.device.type == "cuda" and n_bytes < torch.cuda.mem_get_info(self.device)[0] / 3


def detect(device: str = "auto", precision: Precision = "auto", *, begun: Runtime | None = None) -> Runtime:
    """Choose what the machine does fastest, or check what the user asked for.

    Args:
        device: ``auto``, or as PyTorch names it.
        precision: ``auto`` for the faster one.
        begun: where a run that goes on began. On such a device ``auto`` stays with its precision, where that is to be
            had: measured again, two that are about as fast could change places, and the run would not go on to the bit.

    Raises:
        SettingsError: the device is unknown or not here.
    """
    where = _device(device)
    if precision == "auto":
        precision = _precision_of(begun, where) or ("bf16" if _is_bf16_faster(where) else "fp32")
    if where.type == "cuda":
        torch.cuda.set_device(where)
    return Runtime(where, precision)


def _device(name: str) -> torch.device:
    chosen_for_us = name in ("auto", "cuda") and is_launched() and torch.cuda.is_available()
    if chosen_for_us:
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"  # a GPU for each process
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:1 or mps") from None
    if device.index is not None and is_launched() and not chosen_for_us:
        raise SettingsError(f"several processes need a device each, not all of them {name!r}; use --device cuda")
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not here.get(device.type, False):
        raise SettingsError(f"device {name!r} is not available on this machine; use --device auto or cpu")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"there is no {name!r}; this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def _precision_of(begun: Runtime | None, device: torch.device) -> Arithmetic | None:
    if begun is None or begun.device.type != device.type:
        return None
    return begun.precision if begun.precision == "fp32" or _has_bf16(device) else None


def _is_bf16_faster(device: torch.device) -> bool:
    return _has_bf16(device) and (device.type != "cpu" or _cpu_prefers_bf16())


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # older torch
        return bool(torch.cpu._is_avx512_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


@cache
def _cpu_prefers_bf16() -> bool:
    """Multiply two matrices in either precision, in turns, and compare the quickest times; takes about 0.03 s.

    To have the instructions says too little: a Xeon whose AMX the virtual machine hides multiplies with them half as
    fast as in float32, and trains at 25 images/s with them and at 38 without.
    """
    seconds = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(6):  # the first of each is slow
        for dtype in seconds:
            matrix = torch.ones(PROBE_SIDE, PROBE_SIDE, dtype=dtype)
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - began)
    return seconds[torch.bfloat16] < seconds[torch.float32]


def name_compiler_cache() -> None:
    """Give torch's compiler a folder where it finds none by itself.

    Its optimizers ask for one even where nothing is compiled, and fail for a user whom the system does not know, or
    without a temporary folder.

    Raises:
        DataError: there is no folder to write to.
    """
    try:
        getpass.getuser()
        tempfile.gettempdir()
    except (KeyError, OSError):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torchinductor"))


def keep_memory() -> None:
    """Let the C library keep freed memory for the next step instead of handing it back to the system.

    Each step frees and asks again for gigabytes of activations; by default glibc maps them anew every time and the
    kernel clears every page. Measured on two cores, bfloat16, batch 128: 47 to 63 images/s at 224 px, 152 to 192
    at 128 px. It affects the whole process, so only a process that trains on a CPU calls it. Elsewhere than on
    Linux with glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold, largest = -1, -3, 2**31 - 1
    mallopt(mmap_threshold, 2**30)
    mallopt(trim_threshold, largest)
