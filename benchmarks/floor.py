"""What a machine is, and the least time that a network can take on it: a lower bound from two measured rates.

Numbers are read at the rate of a matrix times a vector, or of a sum where that is higher; multiply-adds are done at the
rate of a product of square matrices. A layer takes at least the longer of the two for its weights and its
multiply-adds in float32, and a network the sum of its layers. (A convolution by Winograd's method has fewer
multiply-adds and may be faster.) The rates are of CPU time, so that other work on the machine does not count; what it
takes from caches and memory does.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from alexnet.data.parallel import n_cores
from alexnet.network.value.architecture import Architecture

# Far more than any cache holds.
N_NUMBERS = 1 << 26
PRODUCT_SIDE = 2048
# Flags of a CPU that decide how fast small numbers are.
FLAGS = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
)


@dataclass(frozen=True)
class Rates:
    """What a machine can do at most in a second, in float32."""

    bytes_read: float
    mult_adds: float

    def best(self, other: "Rates") -> "Rates":
        """Return the higher of each rate."""
        return Rates(max(self.bytes_read, other.bytes_read), max(self.mult_adds, other.mult_adds))


def measure_rates(n_threads: int) -> Rates:
    """Measure both rates with a number of threads; the best of several."""
    torch.set_num_threads(n_threads)
    matrix, vector = torch.rand(N_NUMBERS // 4096, 4096), torch.rand(4096)
    square = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE)
    reading = min(best_of(lambda: torch.mv(matrix, vector)), best_of(matrix.sum))
    multiplying = best_of(lambda: torch.mm(square, square))
    return Rates(4 * matrix.numel() * n_threads / reading, PRODUCT_SIDE**3 * n_threads / multiplying)


def best_of(work: Callable[[], object], n: int = 7) -> float:
    """Return the least CPU time that something took, of all threads together, in seconds."""
    seconds = []
    for _ in range(n):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def floor(net: Architecture, rates: Rates, batch: int) -> float:
    """Return the least seconds an image for a network in float32."""
    layers = (
        max(4 * op.n_parameters / rates.bytes_read, batch * op.n_mult_adds / rates.mult_adds) for op in net.operations()
    )
    return sum(layers) / batch


def reading_floor(n_bytes: int, rates: Rates) -> float:
    """Return the least seconds for one image if each byte of a file is read once and arithmetic takes no time."""
    return n_bytes / rates.bytes_read


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """Return what a table of results must name: the processor, the versions, and how busy it is."""
    found = _cpuinfo()
    flags = (found.get("flags") or found.get("Features") or "").split()
    return {
        "cpu": found.get("model name", platform.processor() or platform.machine()),
        "cores": n_cores(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "python": platform.python_version(),
        "versions": {name: number for name in packages if (number := _version(name)) is not None},
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def describe(facts: dict[str, Any]) -> str:
    """Return these facts as one line."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    flags = " ".join(facts["flags"]) or "none of the flags that matter"
    load = " ".join(map(str, facts["load"]))
    return f"{facts['cpu']}, {facts['cores']} cores, {flags}; Python {facts['python']}, {versions}; load {load}"


def has_fast_int8(facts: dict[str, Any]) -> bool:
    """Return whether the processor multiplies small numbers without the detour over 16 bits."""
    return any(
        "vnni" in flag or "bf16" in flag or "amx" in flag or flag in ("asimddp", "i8mm") for flag in facts["flags"]
    )


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first core; nothing elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
