"""Device, precision, threads and memory."""

import ctypes
import getpass
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from alexnet.data.batches.batches import Batch
from alexnet.data.parallel import n_cores
from alexnet.data.store.cache import cache_folder
from alexnet.errors import SettingsError
from alexnet.training.choices.settings import Precision
from alexnet.training.machine.distributed import is_launched

PROBE_SIDE = 512
Arithmetic = Literal["bf16", "fp32"]


@dataclass(frozen=True)
class Runtime:
    """The device and the precision in which a network runs.

    Attributes:
        device: the device.
        precision: the precision of matrix products.
        n_threads: threads of torch in training on a CPU; None for as many as torch has now.
    """

    device: torch.device
    precision: Arithmetic
    n_threads: int | None = None

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Run a block with ``n_threads`` threads of torch."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.n_threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    @property
    def can_choose_threads(self) -> bool:
        """Whether the number of threads is still to be measured: on a CPU, in one process, if nothing sets it."""
        return self.device.type == "cpu" and self.n_threads is None and not is_launched()

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which to run the network."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, model: nn.Module) -> None:
        """Move a network to the device, in channels-last memory format, which is fastest for convolutions."""
        model.to(self.device)
        model.to(memory_format=torch.channels_last)

    def move(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device."""
        return tensor.to(self.device, non_blocking=True)

    def move_batch(self, batch: Batch) -> Batch:
        """Move the images and labels of a batch to the device."""
        return replace(batch, images=self.move(batch.images), labels=self.move(batch.labels))

    @property
    def crops_on_device(self) -> bool:
        """Whether images are cropped on the device; on a CPU the batches are cropped already."""
        return self.device.type == "cuda"

    @property
    def largest_batch(self) -> int:
        """Default batch size of the device. For a GPU this is a guess, not measured yet."""
        return 256 if self.device.type == "cuda" else 64

    def has_room_for(self, n_bytes: int) -> bool:
        """Return whether images of this size can stay in GPU memory: they may take a third of what is free now."""
        return self.device.type == "cuda" and n_bytes < torch.cuda.mem_get_info(self.device)[0] / 3


def detect(device: str = "auto", precision: Precision = "auto", *, resumed: Runtime | None = None) -> Runtime:
    """Choose the device and the faster precision, or check those that the user asks for.

    Args:
        device: ``auto``, or a name of PyTorch.
        precision: ``auto`` for the faster one.
        resumed: the runtime with which a resumed run was started. On the same kind of device ``auto`` keeps its
            precision and its threads if possible: a new measurement could choose others that are about equally fast.

    Raises:
        SettingsError: the device is unknown or not available.
    """
    found = _device(device)
    if precision == "auto":
        precision = _precision_of(resumed, found) or ("bf16" if _is_bf16_faster(found) else "fp32")
    if found.type == "cuda":
        torch.cuda.set_device(found)
    return Runtime(found, precision, _n_threads(resumed, found))


def _device(name: str) -> torch.device:
    by_rank = name in ("auto", "cuda") and is_launched() and torch.cuda.is_available()
    if by_rank:
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"  # one GPU per process
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:1 or mps") from None
    if device.index is not None and is_launched() and not by_rank:
        raise SettingsError(f"several processes cannot share the device {name!r}; use --device cuda")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise SettingsError(f"device {name!r} is not available on this machine; use --device auto or cpu")
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"unknown device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def _precision_of(resumed: Runtime | None, device: torch.device) -> Arithmetic | None:
    if resumed is None or resumed.device.type != device.type:
        return None
    return resumed.precision if resumed.precision == "fp32" or _has_bf16(device) else None


def _n_threads(resumed: Runtime | None, device: torch.device) -> int | None:
    """Return the user's number of threads, or that of the resumed run; None if it must be measured, or does not matter.

    Results on a CPU depend on the number of threads in their last bits.
    """
    if device.type != "cpu" or is_launched():  # init_distributed divides the cores among processes
        return None
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    recorded = None if resumed is None else resumed.n_threads
    return recorded if recorded is not None and recorded <= n_cores() else None


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
    """Multiply two matrices in both precisions, in turns, and compare the fastest times; takes about 0.03 s.

    Having the instructions is not enough: a Xeon whose virtual machine hides AMX multiplies in bfloat16 half as fast
    as in float32, and trains at 25 images/s instead of 38.

    Not ``torch.utils.benchmark.Timer``: it times one statement, and here two must take turns.
    """
    seconds = dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    for _ in range(6):  # the first is slow
        for dtype in seconds:
            matrix = torch.ones(PROBE_SIDE, PROBE_SIDE, dtype=dtype)
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - began)
    return seconds[torch.bfloat16] < seconds[torch.float32]


def set_compiler_cache() -> None:
    """Set a cache folder for torch's compiler if it would not find one.

    torch's optimisers ask for it even if nothing is compiled. They fail if the system does not know the user, or has
    no temporary folder.

    Raises:
        DataError: there is no folder to write to.
    """
    try:
        getpass.getuser()
        tempfile.gettempdir()
    except (KeyError, OSError):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "torchinductor"))


def keep_memory() -> None:
    """Let the C library keep freed memory for the next step instead of returning it to the system.

    Each step frees and allocates gigabytes of activations. By default glibc maps them again each time, and the kernel
    clears every page. Measured on two cores, bfloat16, batch 128: 47 to 63 images/s at 224 px, 152 to 192 at 128 px.
    It affects the whole process, so it is called only for training on a CPU. Without Linux and glibc it does nothing.
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
