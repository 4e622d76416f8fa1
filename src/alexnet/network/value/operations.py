"""The operations of a network with their shapes and counts, for tables and drawings. No torch here."""

from dataclasses import dataclass

Shape = tuple[int, ...]

ACTIVATION_NAMES = {"relu": "ReLU", "tanh": "Tanh", "gelu": "GELU", "silu": "SiLU"}
NORM_NAMES = {"batch": "BatchNorm", "group": "GroupNorm", "local": "LocalResponseNorm", "map": "MapResponseNorm"}
POOL_NAMES = {"max": "MaxPool", "average": "AvgPool"}


@dataclass(frozen=True, kw_only=True)
class Op:
    """One operation of a network.

    Attributes:
        layer: the name of its layer, ``conv1`` ... ``fc8``.
        kind: ``Conv``, a norm, an activation, a pool, ``AdaptiveAvgPool``, ``Flatten``, ``Dropout`` or ``Linear``.
        shape: its output without the batch, ``(C, H, W)`` or ``(n,)``.
        n_parameters: the number of its trainable parameters.
        n_mult_adds: multiply-adds for one image, counted as in torchinfo (a bias counts as one).
    """

    layer: str
    kind: str
    shape: Shape
    n_parameters: int = 0
    n_mult_adds: int = 0
