"""Runs an exported ``.pt2`` file with torch: its program, one operation after the other.

It is read by ``TorchArchive`` and not by ``torch.export.load``, which trusts the file. Here only the operations of
``_OPERATIONS`` can run, and none of them touches anything but tensors.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from alexnet.errors import ArtifactError
from alexnet.images.decoding import Pixels
from alexnet.inference.engines.outputs import OUTPUTS, ByName, Numbers, finite
from alexnet.inference.engines.torch_engine import device, threads
from alexnet.model.artifact import Artifact
from alexnet.model.onnx_file import Floats, weight_name
from alexnet.model.torch_archive import TorchArchive

# The operations of aten that a network may consist of.
_OPERATIONS = re.compile(
    "_adaptive_avg_pool2d|_log_softmax|_native_batch_norm_legit_no_training|_softmax|_to_copy|_unsafe_view|"
    "adaptive_avg_pool2d|add|addmm|alias|avg_pool2d|avg_pool3d|batch_norm|bmm|cat|clone|constant_pad_nd|contiguous|"
    "conv2d|convolution|detach|detach_|div|dropout|exp|expand|flatten|gelu|group_norm|lift_fresh_copy|linear|"
    "log_softmax|matmul|max_pool2d|max_pool2d_with_indices|mean|mm|mul|native_group_norm|pad|permute|pow|reciprocal|"
    "relu|reshape|rsqrt|select|sigmoid|silu|slice|softmax|sqrt|squeeze|sub|sum|sym_size|t|tanh|to|transpose|unsqueeze|"
    "view"
)
# torch._export.serde.schema: ScalarType, MemoryFormat, ArgumentKind.
_TYPES = {
    1: torch.uint8,
    2: torch.int8,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
}
_MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
_POSITIONAL = 1


@dataclass(frozen=True)
class _Step:
    """One operation: its arguments as they are saved, the names of its results, and the values that end with it."""

    operation: Callable[..., Any]
    positional: tuple[Any, ...]
    named: dict[str, Any]
    results: tuple[str, ...]
    last: frozenset[str]


class TorchProgram(ByName):
    """Runs an exported ``.pt2`` file, on the first GPU if there is one. Several threads may use it.

    Args:
        artifact: the exported model.
        n_threads: how many threads compute on a CPU; by default as many as torch is set to.

    Raises:
        ArtifactError: the file is damaged, uses an operation that is not known here, or an output is not finite.
    """

    name = "torch"

    def __init__(self, artifact: Artifact, n_threads: int | None = None) -> None:
        assert artifact.export is not None
        self.title = f"torch {torch.__version__}, {artifact.export.precision}"
        self._path = artifact.folder
        self._n_threads = n_threads
        archive = TorchArchive(self._path)
        self._weights = archive.tensors()
        try:
            self._read(archive.program())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{str(self._path)!r} holds a program that is not read here ({error}); export it again"
            ) from error

    def weights(self) -> dict[str, Floats]:
        """Return the weights by their names in the state dict, in float32."""
        named = ((weight_name(name), each) for name, each in self._weights.items())
        return {name: each.astype(np.float32) for name, each in named if name is not None}

    def _read(self, program: dict[str, Any]) -> None:
        """Set what the program takes, and what it does for each output."""
        self._given: dict[str, torch.Tensor] = {}
        for spec in program["signature"]["input_specs"]:
            ((kind, saved),) = spec.items()
            if kind == "user_input":
                self._images = saved["arg"]["as_tensor"]["name"]
            else:
                weight = torch.from_numpy(self._weights[saved[f"{kind}_name"]])
                self._given[saved["arg"]["name"]] = weight.to(device())
        nodes = program["graph"]["nodes"]
        results = [output["as_tensor"]["name"] for output in program["graph"]["outputs"]]
        self._plans = {name: (result, _plan(nodes, result)) for name, result in zip(OUTPUTS, results, strict=True)}

    def run(self, output: str, pixels: Pixels) -> Numbers:
        result, steps = self._plans[output]
        values: dict[str, Any] = {**self._given, self._images: torch.from_numpy(pixels).to(device())}
        with torch.inference_mode(), threads(self._n_threads):
            for step in steps:
                positional = [_value(argument, values) for argument in step.positional]
                named = {name: _value(argument, values) for name, argument in step.named.items()}
                returned = step.operation(*positional, **named)
                values |= zip(step.results, returned if len(step.results) > 1 else (returned,), strict=True)
                for name in step.last - {result}:
                    del values[name]
            return finite(np.asarray(values[result].float().cpu().numpy()), self._path)


def _plan(nodes: list[dict[str, Any]], result: str) -> tuple[_Step, ...]:
    """Return the steps that a result needs, in order.

    Raises:
        ValueError: one of them is not known here.
    """
    needed, steps = {result}, []
    for node in reversed(nodes):
        results = [_name_of(output) for output in node["outputs"]]
        if not needed.isdisjoint(results):  # others check sizes, or compute other outputs
            used = set(_names_in(node["inputs"]))
            steps.append(_step(node, tuple(results), frozenset(used - needed)))
            needed |= used
    return tuple(reversed(steps))


def _step(node: dict[str, Any], results: tuple[str, ...], last: frozenset[str]) -> _Step:
    *place, name, overload = node["target"].split(".")
    if place != ["torch", "ops", "aten"] or not _OPERATIONS.fullmatch(name):
        raise ValueError(f"the operation {node['target']} is not known")
    operation = getattr(getattr(torch.ops.aten, name), overload)
    positional = tuple(each["arg"] for each in node["inputs"] if each.get("kind") == _POSITIONAL)
    named = {each["name"]: each["arg"] for each in node["inputs"] if each.get("kind") != _POSITIONAL}
    return _Step(operation, positional, named, results, last)


def _name_of(output: dict[str, Any]) -> str:
    """Return the name of a result: of a tensor, or of a size."""
    ((kind, saved),) = output.items()
    return str(saved["as_name"] if kind == "as_sym_int" else saved["name"])


def _names_in(saved: Any) -> Iterator[str]:
    """Yield the names of all values that saved arguments refer to."""
    if isinstance(saved, list):
        for each in saved:
            yield from _names_in(each)
    elif isinstance(saved, dict):
        for key, each in saved.items():
            if key == "as_name":
                yield each
            elif key == "as_tensor":
                yield each["name"]
            elif key == "as_tensors":
                yield from (tensor["name"] for tensor in each)
            else:
                yield from _names_in(each)


def _value(saved: dict[str, Any], values: dict[str, Any]) -> Any:
    """Return an argument: a value by its name, or what is written in its place.

    Raises:
        ValueError: it is of a kind that is not known here.
    """
    ((kind, content),) = saved.items()
    match kind:
        case "as_tensor":
            return values[content["name"]]
        case "as_tensors":
            return [values[each["name"]] for each in content]
        case "as_name":
            return values[content]
        case "as_sym_int":
            return _value(content, values)
        case "as_sym_ints":
            return [_value(each, values) for each in content]
        case "as_none":
            return None
        case "as_float":
            return float(content)  # infinity is a text
        case "as_int" | "as_ints" | "as_floats" | "as_bool" | "as_bools" | "as_string":
            return content
        case "as_scalar_type":
            return _TYPES[content]
        case "as_memory_format":
            return _MEMORY_FORMATS[content]
        case "as_layout":
            return torch.strided
        case "as_device":
            return device()
    raise ValueError(f"the kind of argument {kind} is not known")
