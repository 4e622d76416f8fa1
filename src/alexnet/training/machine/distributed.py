"""Training in several processes with ``torch.distributed``.

``torchrun`` starts the processes and gives each its rank in the environment. Each computes its part of every batch.
Gradients are averaged, batch norm sees the whole batch, and decisions that depend on a clock or a signal are agreed on.
With one process all of this costs nothing.
"""

import inspect
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from alexnet.data.batches.examples import Shard
from alexnet.data.parallel import n_cores
from alexnet.errors import SettingsError

T = TypeVar("T")
# The rendezvous takes seconds, even on slow machines. A process that is missing after this time has died.
RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
# Later, processes wait while one prepares the images, which may take hours.
COLLECTIVE_TIMEOUT = timedelta(hours=12)
# Gloo's thread releases a tensor shortly after the sum is done. If it is the last to do so, it needs Python's lock, and
# aborts the process if the interpreter is shutting down (pytorch/pytorch #179291). So we hold a reference too.
# Of 40 pairs of processes that ended right after a sum, 5 crashed; with this and a barrier, 0 of 60.
_LAST_SUMS: list[Tensor] = []


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: rank of this process, from 0.
        world_size: number of processes.
        local_rank: rank on its machine; also the index of its GPU.
        owns_group: whether ``init_distributed`` created the process group; False if the caller had done so.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    owns_group: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    @property
    def shard(self) -> Shard:
        """This process's part of every batch."""
        return Shard(self.rank, self.world_size)

    def all_reduce(self, *numbers: float) -> tuple[float, ...]:
        """Return sums over all processes, the same to the bit in each."""
        if self.world_size == 1:
            return numbers
        sums = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(sums)
        _LAST_SUMS[:] = [sums]
        return tuple(sums.tolist())

    def broadcast(self, value: T) -> T:
        """Return the main process's value."""
        if self.world_size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[no-any-return]

    def all_gather(self, value: T) -> list[T]:
        """Return every process's value, by rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    @contextmanager
    def local_main_first(self) -> Iterator[None]:
        """Run a block in the first process of each machine before the others."""
        if self.world_size > 1 and self.local_rank:
            dist.barrier()
        yield
        if self.world_size > 1 and not self.local_rank:
            dist.barrier()

    def close(self) -> None:
        """Wait for all processes, then destroy the process group."""
        if self.world_size == 1:
            return
        # If one process fails, torchrun ends the others. The barrier lets the main process write the model first.
        dist.barrier()
        if self.owns_group:
            dist.destroy_process_group()


def is_launched() -> bool:
    """Return whether ``torchrun`` has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_summed() -> bool:
    """Return whether this process has summed numbers with others, as every training in several processes does."""
    return bool(_LAST_SUMS)


def init_distributed(device: torch.device) -> Group:
    """Connect to the other processes that ``torchrun`` has started; without torchrun, return at once.

    Raises:
        SettingsError: several processes cannot use this device, or do not connect within ``RENDEZVOUS_TIMEOUT``.
    """
    if not is_launched():
        return Group()
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"several processes cannot train on {device.type}; use --device cpu or cuda")
    if device.type == "cpu" and os.environ.get("OMP_NUM_THREADS") == "1":
        # torchrun sets 1 if the user sets nothing.
        torch.set_num_threads(max(1, n_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    owns_group = not dist.is_initialized()
    if owns_group:
        # Gloo beside NCCL: messages about clocks and signals stay off the GPU.
        _init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return Group(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")), owns_group)


def _init_process_group(backend: str) -> None:
    """Create the process group, with a short timeout for the rendezvous and a long one afterwards."""
    try:
        store, rank, world_size = next(rendezvous("env://", timeout=RENDEZVOUS_TIMEOUT))
        store.set_timeout(RENDEZVOUS_TIMEOUT)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=RENDEZVOUS_TIMEOUT)
    except (RuntimeError, ValueError) as error:  # ValueError: a variable of torchrun is missing
        names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        number, of, address, port = (os.environ.get(name, "?") for name in names)
        reason = textwrap.shorten(str(error).partition("\n")[0].rstrip("."), 120, placeholder=" ...")
        raise SettingsError(
            f"process {number} of {of} cannot connect to the others at {address}:{port}: {reason}; "
            "check that all were started, and that each machine can reach this address"
        ) from error
    store.set_timeout(COLLECTIVE_TIMEOUT)  # NCCL uses the store when it is first needed
    # Before torch 2.15 this function was private.
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    set_timeout(COLLECTIVE_TIMEOUT)


def distribute(model: nn.Module, group: Group, device: torch.device) -> nn.Module:
    """Wrap a network in ``DistributedDataParallel``; batch norm is synchronised in place."""
    if group.world_size == 1:
        return model
    _synchronise_batch_norm(model, device)
    parallel = nn.parallel.DistributedDataParallel
    # Batch norm's statistics are the same everywhere already. torch 2.15 renamed the option that copies them.
    names = inspect.signature(parallel.__init__).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    device_ids = [device.index] if device.type == "cuda" else None
    options: dict[str, Any] = {sync: False}
    return parallel(model, device_ids=device_ids, gradient_as_bucket_view=True, **options)


def _synchronise_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Make every batch norm see the whole batch. torch's ``SyncBatchNorm`` runs on GPUs only."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm2d


class _AllReduce(torch.autograd.Function):
    """A differentiable sum over all processes. torch 2.15 deprecates its own."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        summed = part.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _AllReduce.forward(context, gradients[0].contiguous())


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes, on a CPU."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``(N, C, H, W)``; in training, normalised by mean and variance over all processes' images."""
        if not self.training:
            return super().forward(inputs)
        maps = inputs.float()
        count = torch.tensor([maps.numel() / maps.shape[1]])
        first = torch.cat((maps.sum((0, 2, 3)), count))
        sums: Tensor = _AllReduce.apply(first)
        n = sums[-1].detach()
        mean = sums[:-1] / n
        # In two passes: E[x^2] - E[x]^2 is too inaccurate in float32.
        centred = maps - mean[:, None, None]
        variance: Tensor = _AllReduce.apply(centred.square().sum((0, 2, 3))) / n
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normal: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normal.to(inputs.dtype).contiguous(memory_format=torch.channels_last)
