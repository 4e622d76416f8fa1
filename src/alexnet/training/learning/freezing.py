"""Freeze layers that were loaded from other weights."""

from collections.abc import Collection

from alexnet.errors import SettingsError
from alexnet.network.module.model import AlexNet


def freeze(model: AlexNet, up_to: str, loaded: Collection[str]) -> tuple[str, ...]:
    """Freeze layers as ``AlexNet.freeze`` does, and return their names.

    Args:
        model: the network.
        up_to: a layer such as ``conv3`` or ``fc6``, or ``conv`` for all convolutional layers.
        loaded: names of the tensors that were loaded.

    Raises:
        SettingsError: unknown layer, no layer would be left to train, or a frozen layer has random weights.
    """
    frozen = model.freeze(up_to)
    for name in frozen:
        if not all(f"{name}.{inner}" in loaded for inner, _ in model.get_submodule(name).named_parameters()):
            raise SettingsError(
                f"cannot freeze {name}: no weights were loaded for it, so it would stay random; "
                f"freeze fewer layers than up to {up_to!r}"
            )
    return frozen
