"""The weights of any AlexNet for a network of ours, and back under torchvision's names. Tensors only, no files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from alexnet.errors import ArtifactError, SettingsError, listed, nearest, shown, words
from alexnet.images.pixels import PixelKind
from alexnet.network.module.model import AlexNet
from alexnet.network.value.variants import VARIANTS
from alexnet.network.weights.adaptation import adapted
from alexnet.network.weights.recognition import Module, Shapes, in_words, recognise, shapes_of, variants_like

# Where torchvision has conv1 to conv5 and fc6 to fc8.
TORCHVISION_MODULES = (
    *(f"features.{place}" for place in (0, 3, 6, 8, 10)),
    *(f"classifier.{place}" for place in (1, 4, 6)),
)


@dataclass(frozen=True)
class Loaded:
    """What was taken over from other weights.

    Attributes:
        kept: names of the network's tensors that are as they were there.
        adapted: names of those that were adapted, each with how.
        new: names of those that stay as they began, since there is nothing for them.
        left: names of the tensors there that were not used.
    """

    kept: tuple[str, ...]
    adapted: tuple[tuple[str, str], ...]
    new: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """Names of the network's tensors that come from there, adapted or not."""
        return (*self.kept, *(name for name, _ in self.adapted))

    def __str__(self) -> str:
        hows: dict[str, list[str]] = {}
        for name, how in self.adapted:
            hows.setdefault(_layer(name), []).append(how)
        taken = {_layer(name) for name in self.taken}
        lists = {
            "kept": [layer for layer in map(_layer, self.kept) if layer not in hows],
            "adapted": [f"{layer} ({', '.join(dict.fromkeys(each))})" for layer, each in hows.items()],
            # Of a layer that was taken, only its norm can be new.
            "new": [_module(name) if _layer(name) in taken else _layer(name) for name in self.new] or ["nothing"],
            "left": [_module(name) or name for name in self.left],
        }
        return "; ".join(f"{what}: {words(dict.fromkeys(names))}" for what, names in lists.items() if names)


def load_tensors(
    model: AlexNet,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    pixels: PixelKind = "rgb",
    partial: bool = False,
    same_classes: bool = True,
) -> Loaded:
    """Give a network the weights of another AlexNet, whatever they are called there: see ``layout.recognise``.

    The channels of images and the grid of the first fully-connected layer may differ, and are adapted. The last layer
    is taken over where it has as many classes. Norms that are not there stay as they began. All else must have a place.

    Args:
        model: the network; it is changed only where nothing is refused.
        tensors: the weights by name.
        where: what errors call them.
        pixels: what they were trained on; ``caffe`` is exact where conv1 has no padding: see ``with_our_pixels``.
        partial: take what fits, and leave the rest.
        same_classes: whether the last layer stands for the classes of ``model``; if not, it is not taken over.

    Raises:
        ArtifactError: not all of it fits, or with ``partial`` nothing; both layouts are named. Or a number that would
            be taken is none, infinite or complex; or numbers are not there, or not one by one.
        SettingsError: unknown pixels.
    """
    if pixels not in get_args(PixelKind):
        raise SettingsError(f"unknown pixels {pixels!r}{nearest(str(pixels), get_args(PixelKind))}")
    own = model.state_dict()
    found, ours = recognise(tensors), recognise(own)
    _refuse_strange([module for name, module in found.items() if name in ours], where)
    theirs = adapted(found, model.architecture, pixels, where)
    last = f"{model.layer_names[-1]}.linear"
    fits = {
        name: theirs[name]
        for name, module in ours.items()
        if name in theirs and theirs[name].shapes == module.shapes and (name != last or same_classes)
    }
    # What a norm has counted is of no use to another convolution.
    fits = {name: each for name, each in fits.items() if name.replace(".norm", ".conv") in fits}
    used = {name for module in fits.values() for name in module.names.values()}
    left = tuple(name for name in tensors if name not in used)
    _refuse_unfit(found, ours, fits, where, last, left, partial=partial)
    _refuse_not_finite(fits, where)

    taken = {ours[name].names[role]: each for name, module in fits.items() for role, each in module.tensors.items()}
    how = {ours[name].names[role]: each for name, module in fits.items() for role, each in module.how.items()}
    model.load_state_dict(taken, strict=False)
    return Loaded(
        kept=tuple(name for name in own if name in taken and name not in how),
        adapted=tuple((name, how[name]) for name in own if name in how),
        new=tuple(name for name in own if name not in taken),
        left=left,
    )


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or infinity; None where all is finite."""
    return next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # torch has no extremes of floats of eight bits.
    comparable = tensor if tensor.dtype.itemsize > 1 else tensor.to(torch.float32)
    # A twentieth of the time of looking at each number: the extremes of what holds NaN are NaN. As a float, as which it
    # would be taken.
    return bool(torch.stack(comparable.aminmax()).float().isfinite().all())


def as_torchvision(model: AlexNet) -> dict[str, Tensor]:
    """Return the weights under torchvision's names, for ``torchvision.models.alexnet(num_classes=...)``.

    Raises:
        SettingsError: the network has other layers than torchvision's.
    """
    net, theirs = model.architecture, VARIANTS["torchvision"]
    for name in ("layers", "hidden", "grid", "in_channels", "activation"):
        if getattr(net, name) != getattr(theirs, name):
            raise SettingsError(
                f"{name} of this network differ from torchvision's AlexNet; build it with variant 'torchvision'"
            )
    own = model.state_dict()
    renamed = zip(recognise(own).values(), TORCHVISION_MODULES, strict=True)
    return {f"{name}.{role}": own[module.names[role]] for module, name in renamed for role in ("weight", "bias")}


def _refuse_unfit(
    theirs: Mapping[str, Module],
    ours: Mapping[str, Module],
    fits: Mapping[str, Module],
    where: str,
    last: str,
    left: tuple[str, ...],
    *,
    partial: bool,
) -> None:
    missing = [name for name in ours if name not in theirs and name != last and not name.endswith(".norm")]
    unused = [name for name in theirs if name not in fits and name != last]
    may_be_left = theirs[last].names.values() if last in theirs else ()
    strays = [name for name in left if name not in may_be_left]
    if fits and (partial or not (missing or strays)):
        return
    their_shapes, our_shapes = shapes_of(theirs), shapes_of(ours)
    if not any(len(shape) > 1 for shape in their_shapes.values()):
        names = f"only {listed(left, 2)}" if left else "nothing at all"
        raise ArtifactError(f"{where!r} holds no weights of convolutional or fully-connected layers, {names}")
    if fits and not missing and not unused:
        raise ArtifactError(
            f"no fit: {where!r} also holds {shown(strays[0])}, which is of no layer; "
            "take what fits with --init-take fitting (partial=True)"
        )
    apart = [name for name in {**ours, **theirs} if name in missing or name in unused]
    raise ArtifactError(
        f"no fit: {where!r} is of {in_words(their_shapes, apart)}, the network of {in_words(our_shapes, apart)}"
        f"{_way_out(their_shapes, our_shapes, some_fit=bool(fits))}"
    )


def _refuse_strange(modules: Iterable[Module], where: str) -> None:
    for module in modules:
        for role, tensor in module.tensors.items():
            if kind := _strange_kind(tensor):
                raise ArtifactError(
                    f"{where!r} holds {kind} in {shown(module.names[role])}; save its numbers as dense, real floats"
                )


def _strange_kind(tensor: Tensor) -> str | None:
    if tensor.is_meta:
        return "a shape without numbers (a meta tensor)"
    if tensor.is_complex():
        return "complex numbers"
    if tensor.is_quantized:
        return "quantized numbers"
    return "a sparse tensor" if tensor.layout != torch.strided else None


def _refuse_not_finite(fits: Mapping[str, Module], where: str) -> None:
    for module in fits.values():
        if role := not_finite(module.tensors):
            name = module.names.get(role, role)  # some are made up where a file has none
            raise ArtifactError(
                f"{where!r} holds NaN or infinity in {name}; take weights that were saved before training went wrong"
            )


def _way_out(theirs: Shapes, ours: Shapes, *, some_fit: bool) -> str:
    """Say what can be done about weights that do not fit."""
    hidden = tuple(shape[0] for name, shape in theirs.items() if name.startswith("fc"))[:-1]
    like = [name for name in variants_like(theirs) if VARIANTS[name].hidden == hidden]
    ways = [f"a variant that has it (--variant {like[0]})"] if like and like != variants_like(ours) else []
    ways += ["what fits with --init-take fitting (partial=True)"] if some_fit else []
    return f"; take {', or '.join(ways)}" if ways else "; nothing of it can be taken over"


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _layer(name: str) -> str:
    return name.partition(".")[0]
