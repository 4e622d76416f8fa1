"""Layers that stay as they were where a network begins with the weights of another."""

from collections.abc import Collection

from alexnet.errors import SettingsError
from alexnet.network.module.model import AlexNet


def freeze(model: AlexNet, up_to: str, taken: Collection[str]) -> tuple[str, ...]:
    """Freeze layers as ``AlexNet.freeze`` does, and return their names.

    Args:
        model: the network.
        up_to: a layer, as ``conv3`` or ``fc6``, or ``conv`` for all convolutional layers.
        taken: names of the tensors that were learned elsewhere.

    Raises:
        SettingsError: there is no such layer, none would be left to learn, or one would stay as random as it began.
    """
    frozen = model.freeze(up_to)
    for name in frozen:
        if not all(f"{name}.{inner}" in taken for inner, _ in model.get_submodule(name).named_parameters()):
            raise SettingsError(
                f"{name} begins at random, since no weights for it were loaded, and would stay so; "
                f"freeze fewer layers than up to {up_to!r}"
            )
    return frozen
