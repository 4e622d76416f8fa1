"""Load the weights of any AlexNet, and export them under torchvision's names. Tensors only, no files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from alexnet.errors import ArtifactError, SettingsError, listed, nearest, shown, words
from alexnet.images.pixels import PixelKind
from alexnet.network.module.model import AlexNet
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.checks import alternatives
from alexnet.network.value.variants import VARIANTS
from alexnet.network.weights.adaptation import adapted, adapted_mean_image, rescaled
from alexnet.network.weights.columns import check_pixels, has_columns, joined
from alexnet.network.weights.recognition import (
    MEAN_IMAGE,
    SavedModule,
    Shapes,
    describe_layout,
    find_mean_image,
    recognise,
    shapes_of,
    variants_like,
)

# torchvision's names for conv1 to conv5 and fc6 to fc8.
TORCHVISION_MODULES = (
    *(f"features.{index}" for index in (0, 3, 6, 8, 10)),
    *(f"classifier.{index}" for index in (1, 4, 6)),
)


@dataclass(frozen=True)
class Loaded:
    """What was loaded from other weights.

    Attributes:
        kept: names of the network's tensors that were copied unchanged.
        adapted: names of those that were adapted, each with the change.
        new: names of those that keep their initial values, since the weights have nothing for them.
        left: names of tensors in the weights that were not used.
    """

    kept: tuple[str, ...]
    adapted: tuple[tuple[str, str], ...]
    new: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """Names of the network's tensors that were loaded, adapted or not."""
        return (*self.kept, *(name for name, _ in self.adapted))

    def __str__(self) -> str:
        changes: dict[str, list[str]] = {}
        for name, change in self.adapted:
            changes.setdefault(_layer(name), []).append(change)
        taken = {_layer(name) for name in self.taken}
        lists = {
            "kept": [layer for layer in map(_layer, self.kept) if layer not in changes],
            "adapted": [f"{layer} ({', '.join(dict.fromkeys(each))})" for layer, each in changes.items()],
            # In a loaded layer, only the norm can be new.
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
    trained: Architecture | None = None,
) -> Loaded:
    """Load the weights of another AlexNet into a network, whatever their names: see ``recognise``.

    The two columns of the program of 2012 are joined first: see ``columns``. Other image channels and another grid of
    the first fully-connected layer are adapted. The last layer is loaded if the number of classes is the same. Missing
    norms keep their initial values. A mean image is resized. Everything else must fit.

    Args:
        model: the network. It is not changed if there is an error.
        tensors: the weights by name.
        where: the name of the weights in errors.
        pixels: the pixels they were trained on. ``caffe`` is exact if conv1 has no padding: see ``with_our_pixels``.
        partial: load what fits and ignore the rest.
        same_classes: whether the last layer has the classes of ``model``. If not, it is not loaded.
        trained: the network that the weights are of, if known: the two may scale differently in prediction.

    Raises:
        ArtifactError: not everything fits, or nothing with ``partial``; both layouts are named. Or only one of the two
            subtracts a mean image, so the weights are for other pixels, ``partial`` or not. Or tensors to load are
            meta, complex, quantized or sparse, or hold NaN or infinity.
        SettingsError: unknown pixels.
    """
    if pixels not in get_args(PixelKind):
        raise SettingsError(f"unknown pixels {pixels!r}{nearest(str(pixels), get_args(PixelKind))}")
    own = model.state_dict()
    if has_columns(tensors):
        check_pixels(tensors, model.architecture, where)
        tensors = joined(tensors, where)
    found, ours = recognise(tensors), recognise(own)
    mean_image = find_mean_image(tensors)
    _check_supported([*(module for name, module in found.items() if name in ours), *filter(None, [mean_image])], where)
    theirs = adapted(found, model.architecture, pixels, where)
    theirs = theirs if trained is None else rescaled(theirs, trained, model.architecture)
    last = f"{model.layer_names[-1]}.linear"
    fits = {
        name: theirs[name]
        for name, module in ours.items()
        if name in theirs and theirs[name].shapes == module.shapes and (name != last or same_classes)
    }
    # A norm's statistics are useless with another convolution.
    fits = {name: each for name, each in fits.items() if name.replace(".norm", ".conv") in fits}
    used = {name for module in (*fits.values(), mean_image) if module for name in module.names.values()}
    left = tuple(name for name in tensors if name not in used)
    _check_fit(found, ours, fits, where, last, left, partial=partial)
    if (mean_image := adapted_mean_image(mean_image, model.architecture, pixels, where)) is not None:
        fits[MEAN_IMAGE], ours[MEAN_IMAGE] = mean_image, SavedModule(names={MEAN_IMAGE: MEAN_IMAGE})
    _check_finite(fits, where)

    taken = {ours[name].names[role]: each for name, module in fits.items() for role, each in module.tensors.items()}
    changes = {ours[name].names[role]: each for name, module in fits.items() for role, each in module.changes.items()}
    model.load_state_dict(taken, strict=False)
    return Loaded(
        kept=tuple(name for name in own if name in taken and name not in changes),
        adapted=tuple((name, changes[name]) for name in own if name in changes),
        new=tuple(name for name in own if name not in taken),
        left=left,
    )


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with NaN or infinity; None if all are finite."""
    return next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # torch has no aminmax for 8-bit floats.
    comparable = tensor if tensor.dtype.itemsize > 1 else tensor.to(torch.float32)
    # A twentieth of the time of checking each number: if there is a NaN, the extremes are NaN. In float32, since that
    # is how it would be loaded.
    return bool(torch.stack(comparable.aminmax()).float().isfinite().all())


def as_torchvision(model: AlexNet) -> dict[str, Tensor]:
    """Return the weights under torchvision's names, for ``torchvision.models.alexnet(num_classes=...)``.

    Raises:
        SettingsError: the layers differ from torchvision's.
    """
    net, theirs = model.architecture, VARIANTS["torchvision"]
    for name in ("layers", "hidden", "grid", "in_channels", "activation", "mean_image", "scale_in_prediction"):
        if getattr(net, name) != getattr(theirs, name):
            raise SettingsError(
                f"{name} of this network differ from torchvision's AlexNet; build it with variant 'torchvision'"
            )
    own = model.state_dict()
    renamed = zip(recognise(own).values(), TORCHVISION_MODULES, strict=True)
    return {f"{name}.{role}": own[module.names[role]] for module, name in renamed for role in ("weight", "bias")}


def _check_fit(
    theirs: Mapping[str, SavedModule],
    ours: Mapping[str, SavedModule],
    fits: Mapping[str, SavedModule],
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
            f"no fit: {where!r} also holds {shown(strays[0])}, which belongs to no layer; "
            "load what fits with --init-take fitting (partial=True)"
        )
    differing = [name for name in {**ours, **theirs} if name in missing or name in unused]
    raise ArtifactError(
        f"no fit: {where!r} has {describe_layout(their_shapes, differing)}, "
        f"the network has {describe_layout(our_shapes, differing)}"
        f"{_advice(their_shapes, our_shapes, some_fit=bool(fits))}"
    )


def _check_supported(modules: Iterable[SavedModule], where: str) -> None:
    for module in modules:
        for role, tensor in module.tensors.items():
            if kind := _unsupported_kind(tensor):
                raise ArtifactError(
                    f"{where!r} holds {kind} in {shown(module.names[role])}; save its numbers as dense, real floats"
                )


def _unsupported_kind(tensor: Tensor) -> str | None:
    if tensor.is_meta:
        return "a shape without numbers (a meta tensor)"
    if tensor.is_complex():
        return "complex numbers"
    if tensor.is_quantized:
        return "quantized numbers"
    return "a sparse tensor" if tensor.layout != torch.strided else None


def _check_finite(fits: Mapping[str, SavedModule], where: str) -> None:
    for module in fits.values():
        if role := not_finite(module.tensors):
            name = module.names.get(role, role)  # some were added because the file has none
            raise ArtifactError(
                f"{where!r} holds NaN or infinity in {name}; use weights that were saved before training diverged"
            )


def _advice(theirs: Shapes, ours: Shapes, *, some_fit: bool) -> str:
    """Return what to do about weights that do not fit."""
    hidden = tuple(shape[0] for name, shape in theirs.items() if name.startswith("fc"))[:-1]
    like = [name for name in variants_like(theirs) if VARIANTS[name].hidden == hidden]
    which = "a variant that has it" if len(like) == 1 else "the variant that trained it"
    has_it = f"use {which} (--variant {alternatives(like)})"
    ways = [has_it] if like and like != variants_like(ours) else []
    ways += ["load what fits with --init-take fitting (partial=True)"] if some_fit else []
    return f"; {', or '.join(ways)}" if ways else "; none of it can be loaded"


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _layer(name: str) -> str:
    return name.partition(".")[0]
