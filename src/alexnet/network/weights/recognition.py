"""Which tensor of a file belongs to which layer, recognised by shape and order instead of by name. Layouts in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from torch import Tensor

from alexnet.files.paths import natural_key
from alexnet.network.module.model import without_weights
from alexnet.network.value.variants import VARIANTS, Variant

_OWN = re.compile(r"conv\d+\.(conv|norm)|fc\d+\.linear")
# The buffer of a network that subtracts a mean image. It belongs to no layer.
MEAN_IMAGE = "mean_image"
# Caffe numbers the parameters of a layer.
_ROLES = {"0": "weight", "1": "bias"}
# Prefixes of compiled and of distributed networks. "module." may come before or after the other.
_WRAPPERS = ("module.", "_orig_mod.", "module.")
_LAYOUTS = {
    "batchnorm": "the reference layout",
    "original": "the grouped layout of 2012 and Caffe",
    "paper": "the grouped layout of 2012 and Caffe",
    "caffenet": "the grouped layout of 2012 and Caffe",
    "torchvision": "torchvision's layout",
    "small": "the layout for small images",
}

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of the weights by layer: ``conv1``, ``conv1.norm``, ..., ``fc8``."""


@dataclass(frozen=True)
class SavedModule:
    """A convolution, a norm or a linear layer in a file.

    Attributes:
        tensors: its tensors by role: ``weight``, ``bias``, ``running_mean`` and so on.
        names: their names in the file, by role.
        changes: how tensors were adapted, by role.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its tensors by role."""
        return {role: tuple(tensor.shape) for role, tensor in self.tensors.items()}

    @property
    def n_dims(self) -> int:
        """Dimensions of its weight: 4 for a convolution, 2 for a linear layer, 1 for a norm, 0 without a weight."""
        return self.tensors["weight"].ndim if "weight" in self.tensors else 0


def recognise(tensors: Mapping[str, Tensor]) -> dict[str, SavedModule]:
    """Return the modules of a file under this package's names: ``conv1.conv``, ``conv1.norm``, ``fc6.linear``.

    If all names are this package's own, they are used. Of other names only the order counts; "10" comes after "9".
    Weights of four dimensions are convolutions, those of two are linear layers. With as many norms as convolutions, the
    first norm belongs to the first convolution and so on; else each belongs to the convolution directly before it.
    Anything else is left out, and so is a mean image.

    Old Caffe blobs always have four dimensions; those of size 1 are removed.
    """
    modules = _modules(tensors)
    if all(_OWN.fullmatch(name) for name in modules):
        return modules
    convs, linears, norms = ([name for name, each in modules.items() if each.n_dims == n] for n in (4, 2, 1))
    found = {f"conv{number}.conv": modules[name] for number, name in enumerate(convs, start=1)}
    found |= {f"fc{number}.linear": modules[name] for number, name in enumerate(linears, start=len(convs) + 1)}
    order = list(modules)
    for number, name in enumerate(norms, start=1):
        before = order[order.index(name) - 1] if order.index(name) else ""
        if len(norms) == len(convs):
            found[f"conv{number}.norm"] = modules[name]
        elif before in convs:
            found[f"conv{convs.index(before) + 1}.norm"] = modules[name]
    return found


def _modules(tensors: Mapping[str, Tensor]) -> dict[str, SavedModule]:
    modules: dict[str, SavedModule] = {}
    # Part by part, so that "fc" comes before "fc1".
    for name in sorted(tensors, key=lambda name: [*map(natural_key, name.split("."))]):
        inner = _unwrapped(name)
        if inner == MEAN_IMAGE:
            continue
        owner, _, leaf = inner.rpartition(".")
        role = _ROLES.get(leaf, leaf)
        module = modules.setdefault(owner, SavedModule())
        module.tensors[role] = _squeezed(tensors[name], role)
        module.names[role] = name
    return modules


def find_mean_image(tensors: Mapping[str, Tensor]) -> SavedModule | None:
    """Return the mean image of a file, with its name there; None if it has none."""
    name = next((name for name in tensors if _unwrapped(name) == MEAN_IMAGE), None)
    return None if name is None else SavedModule({MEAN_IMAGE: tensors[name]}, {MEAN_IMAGE: name})


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _squeezed(tensor: Tensor, role: str) -> Tensor:
    if role == "bias" and tensor.ndim == 4:
        return tensor.reshape(-1)
    if role == "weight" and tensor.ndim == 4 and tensor.shape[:2] == (1, 1):
        return tensor[0, 0]
    return tensor


def shapes_of(modules: Mapping[str, SavedModule]) -> Shapes:
    """Return the shapes of the weights by layer."""
    return {_layer(name): each.shapes["weight"] for name, each in modules.items() if "weight" in each.tensors}


def _layer(module: str) -> str:
    return module.removesuffix(".conv").removesuffix(".linear")


def variants_like(shapes: Shapes) -> list[Variant]:
    """Return the variants with these convolutions and norms. Image channels and classes may differ."""
    theirs = _convolutional(shapes)
    return [
        name
        for name, net in VARIANTS.items()
        if theirs == _convolutional(shapes_of(recognise(without_weights(net).state_dict())))
    ]


def _convolutional(shapes: Shapes) -> Shapes:
    convolutional = {name: shape for name, shape in shapes.items() if name.startswith("conv")}
    first = convolutional.get("conv1", ())
    return {**convolutional, "conv1": (*first[:1], *first[2:])}


def describe_layout(shapes: Shapes, differing: list[str]) -> str:
    """Return the layout of weights in words, with the shapes of at most two of the differing layers."""
    convs = [shape for name, shape in shapes.items() if name.startswith("conv") and len(shape) == 4]
    if like := variants_like(shapes):
        words = _LAYOUTS.get(like[0], f"the layout of {like[0]!r}")
    elif any(after[1] < before[0] for before, after in pairwise(convs)):
        words = "a grouped layout"
    else:
        words = "a layout of its own"
    shown = [_layer(name) for name in differing if _layer(name) in shapes] or list(shapes)
    each = [f"{name} {'x'.join(map(str, shapes[name]))}" for name in shown[:2]]
    return f"{words} ({', '.join(each)}{', ...' if len(shown) > 2 else ''})"
