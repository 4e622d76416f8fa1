"""Several processes that train one network: what they tell one another.

``torchrun`` starts them and says to each, in the environment, who it is. Each computes its part of every batch; the
gradients are averaged, batch norm sees the whole batch, and what depends on the clock or a signal is agreed upon. With
one process all of this costs nothing.
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
# To find one another takes seconds, however slow the machines: whoever does not come within this has died, and
# torchrun, which would end the others, may have died with it.
MEETING = timedelta(minutes=10)
# Later, others wait while one prepares the images, which may take hours.
PATIENCE = timedelta(hours=12)
# Gloo's thread lets go of a tensor a little after its sum is there. Were it the last to do so, it would need Python's
# lock for it, and end the process with SIGABRT if the interpreter is leaving (pytorch/pytorch #179291). So we hold the
# last one too. 5 of 40 pairs of processes that ended right after a sum were lost; with this and a barrier, 0 of 60.
_LAST_SUMS: list[Tensor] = []


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this is.

    Attributes:
        rank: this process's number, from 0.
        world_size: how many there are.
        local_rank: its number on its own machine, which is also that of its GPU.
        founded: whether ``join`` made the process group, rather than found the caller's own.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    founded: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes and speaks for all."""
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
        """Return the leading process's value."""
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
    def one_at_first(self) -> Iterator[None]:
        """Let the first process of each machine do something before the others, who then find it done."""
        if self.world_size > 1 and self.local_rank:
            dist.barrier()
        yield
        if self.world_size > 1 and not self.local_rank:
            dist.barrier()

    def leave(self) -> None:
        """Part from the others, once all have come here."""
        if self.world_size == 1:
            return
        # Where one ends badly, torchrun ends the others: not before the leading one has written the model.
        dist.barrier()
        if self.founded:
            dist.destroy_process_group()


def is_launched() -> bool:
    """Return whether ``torchrun`` has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device) -> Group:
    """Meet the other processes that ``torchrun`` has started; alone, return at once.

    Raises:
        SettingsError: they cannot work together on this device, or do not find one another within ``MEETING``.
    """
    if not is_launched():
        return Group()
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"several processes cannot train on {device.type}; use --device cpu or cuda")
    if device.type == "cpu" and os.environ.get("OMP_NUM_THREADS") == "1":
        # torchrun's own choice, where nobody has made one.
        torch.set_num_threads(max(1, n_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    founded = not dist.is_initialized()
    if founded:
        # What is said about clocks and signals stays off the GPU.
        _found("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return Group(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")), founded)


def _found(backend: str) -> None:
    """Make the process group; who meets must be there soon, and may be kept waiting for long afterwards."""
    try:
        store, rank, world_size = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(MEETING)
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=MEETING)
    except (RuntimeError, ValueError) as error:  # the latter, of what torchrun says and nobody has said
        names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        number, of, address, port = (os.environ.get(name, "?") for name in names)
        reason = textwrap.shorten(str(error).partition("\n")[0].rstrip("."), 120, placeholder=" ...")
        raise SettingsError(
            f"process {number} of {of} has not met the others at {address}:{port}: {reason}; "
            "check that all were started, and that this address can be reached from each machine"
        ) from error
    store.set_timeout(PATIENCE)  # by which NCCL's parts meet, when they are first needed
    # Before torch 2.15 it had no name of its own.
    lengthen = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    lengthen(PATIENCE)


def share(model: nn.Module, group: Group, device: torch.device) -> nn.Module:
    """Return a network whose gradients are averaged over all processes; batch norm is synchronised in place."""
    if group.world_size == 1:
        return model
    _synchronise(model, device)
    parallel = nn.parallel.DistributedDataParallel
    # Batch norm's own sums are the same everywhere already. torch 2.15 has renamed the option that says so.
    names = inspect.signature(parallel.__init__).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    device_ids = [device.index] if device.type == "cuda" else None
    options: dict[str, Any] = {sync: False}
    return parallel(model, device_ids=device_ids, gradient_as_bucket_view=True, **options)


def _synchronise(model: nn.Module, device: torch.device) -> None:
    """Make every batch norm see the whole batch. torch's own way of it exists on GPUs only."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm2d


class _AllReduce(torch.autograd.Function):
    """A sum over all processes, whose gradient is the sum of theirs; torch 2.15 warns that its own will go."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        total = part.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _AllReduce.forward(context, gradients[0].contiguous())


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the parts of a batch that several processes hold, on a CPU."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` normalised by the mean and variance of all processes' images, while training."""
        if not self.training:
            return super().forward(inputs)
        maps = inputs.float()
        count = torch.tensor([maps.numel() / maps.shape[1]])
        first = torch.cat((maps.sum((0, 2, 3)), count))
        sums: Tensor = _AllReduce.apply(first)
        n = sums[-1].detach()
        mean = sums[:-1] / n
        # In two passes: the square of the mean from the mean of the squares would lose what float32 has to tell.
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
