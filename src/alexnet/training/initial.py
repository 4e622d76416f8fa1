"""Where a network begins: random weights, weights that were learned elsewhere, and layers that stay as they are."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.errors import ArtifactError, SettingsError, nearest
from alexnet.inference.artifact import load_artifact, load_model
from alexnet.network.model import AlexNet
from alexnet.training.recipe import Initialisation


@dataclass(frozen=True)
class Loaded:
    """What was taken over from a file of weights.

    Attributes:
        kept: names of the tensors taken from there.
        new: names of the tensors that begin at random, since the file has none of that name and shape.
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        new = _layers(self.new)
        return f"{len(self.kept)} tensors of {_layers(self.kept)} taken over; {f'new: {new}' if new else 'none is new'}"


def initialise(model: AlexNet, how: Initialisation) -> None:
    """Give a network its random weights, from torch's global random numbers.

    ``torch`` is what its layers do by themselves. ``paper`` draws all weights from N(0, 0.01); biases are ones in the
    second, fourth and fifth convolutional layers and in the hidden fully-connected ones, which gives ReLUs positive
    inputs to begin with, and zeros elsewhere.

    Source: section 5.
    """
    if how == "torch":
        return
    n_conv = len(model.architecture.layers)
    ones = {"conv2", "conv4", "conv5", *(f"fc{n_conv + 1 + i}" for i in range(len(model.architecture.hidden)))}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            assert module.bias is not None
            nn.init.constant_(module.bias, float(name.partition(".")[0] in ones))


def load_into(model: AlexNet, path: str | os.PathLike[str], classes: tuple[str, ...] | None = None) -> Loaded:
    """Take over the tensors of a file of weights that have the name and the shape of the network's.

    Args:
        model: the network; what the file lacks stays as it is.
        path: a run folder, a model folder, a ``.safetensors`` file or a ``.pth`` file of tensors.
        classes: what the network's logits stand for; the last layer of a model of other classes is not taken over.

    Raises:
        ArtifactError: nothing is there, it cannot be read, or no tensor fits.
    """
    found = _read(Path(path).expanduser(), classes)
    own = model.state_dict()
    fits = {name: tensor for name, tensor in found.items() if name in own and own[name].shape == tensor.shape}
    if not any(name.endswith("weight") for name in fits):
        theirs, ours = (_described(tensors) for tensors in (found, own))
        raise ArtifactError(f"no weights in {str(path)!r} fit: it begins with {theirs}, the network with {ours}")
    model.load_state_dict(fits, strict=False)
    return Loaded(tuple(fits), tuple(name for name in own if name not in fits))


def freeze(model: AlexNet, up_to: str, kept: Collection[str]) -> tuple[str, ...]:
    """Stop layers from learning, from the first up to and with one; return their names.

    Args:
        model: the network.
        up_to: a layer, as ``conv3`` or ``fc6``, or ``conv`` for all convolutional layers.
        kept: names of the tensors that were learned elsewhere.

    Raises:
        SettingsError: there is no such layer, none would be left to learn, or one would stay as random as it began.
    """
    layers = [name for name, layer in model.named_children() if any(True for _ in layer.parameters())]
    last = [name for name in layers if name.startswith("conv")][-1] if up_to == "conv" else up_to
    if last not in layers:
        raise SettingsError(f"there is no layer {up_to!r} to freeze{nearest(up_to, ['conv', *layers[:-1]])}")
    if last == layers[-1]:
        raise SettingsError(f"with {up_to!r} frozen nothing is left to learn; freeze up to {layers[-2]} at most")
    frozen = tuple(layers[: layers.index(last) + 1])
    for name in frozen:
        if not all(f"{name}.{inner}" in kept for inner, _ in model.get_submodule(name).named_parameters()):
            raise SettingsError(
                f"{name} begins at random, since no weights for it were loaded, and would stay so; "
                f"freeze fewer layers than up to {up_to!r}"
            )
        model.get_submodule(name).requires_grad_(False)
    return frozen


def _read(path: Path, classes: tuple[str, ...] | None) -> dict[str, Tensor]:
    if path.is_dir():
        artifact = load_artifact(path)
        model = load_model(artifact)
        last = list(dict(model.named_children()))[-1] if artifact.classes != classes else None
        return {name: each for name, each in model.state_dict().items() if name.partition(".")[0] != last}
    if not path.exists():
        raise ArtifactError(f"there are no weights at {str(path)!r}; give a run, a model folder or a file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it ends too early").splitlines()[0]
        raise ArtifactError(f"cannot read the weights in {str(path)!r}: {reason}") from error
    except Exception as error:  # pickle's own, of many kinds, which advise to execute what is not tensors: we never do
        raise ArtifactError(
            f"{str(path)!r} holds more than tensors, or is damaged, and is not read; save model.state_dict() instead"
        ) from error
    for wrapped in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(wrapped), dict):
            found = found[wrapped]
    if not isinstance(found, dict) or not all(isinstance(each, Tensor) for each in found.values()):
        raise ArtifactError(f"{str(path)!r} holds no tensors by name; save model.state_dict()")
    return {_own_name(name): tensor for name, tensor in found.items()}


def _own_name(name: str) -> str:
    """Return the name that a tensor had before its network was compiled, or shared between processes."""
    for wrapper in ("module.", "_orig_mod.", "module."):
        name = name.removeprefix(wrapper)
    return name


def _described(tensors: dict[str, Tensor]) -> str:
    # Weights say what a network is; a safetensors file would begin with the counters of batch norm.
    weights = [(name, tensor) for name, tensor in tensors.items() if tensor.ndim > 1] or list(tensors.items())
    return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in weights[:2]) or "nothing"


def _layers(names: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
