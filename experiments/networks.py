"""The networks and images that several experiments share."""

from dataclasses import replace

from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, LocalNorm, MapNorm, Pool
from alexnet.network.value.variants import ORIGINAL
from alexnet.reproduction.value import Arm, Data, Scale

_MAX, _MEAN = Pool(rounding="up"), Pool(kind="average", rounding="up")

FOUR_LAYERS = Architecture(
    variant="four layers",
    layers=(
        Conv(channels=32, kernel=5, padding=2, pool=_MAX, activation_after="pool"),
        Conv(channels=32, kernel=5, padding=2, pool=_MEAN),
        Conv(channels=64, kernel=5, padding=2, pool=_MEAN),
    ),
    hidden=(),
    grid=4,
    n_classes=10,
    image_size=32,
)
"""The program's network ``18pct`` for CIFAR-10 without its two norms: four layers with weights.

Departure: torch's own random weights. The program's N(0, 0.0001) in conv1 is for images from 0 to 255.

Source: computerhistory/AlexNet-Source-Code, layers-18pct.cfg; figure 1 has "a four-layer convolutional network".
"""

COLUMNS = replace(
    ORIGINAL,
    variant="original, small",
    layers=(
        Conv(
            channels=32,
            kernel=5,
            stride=2,
            padding=2,
            norm=LocalNorm(place="before", groups=2),
            pool=_MAX,
            activation_after="pool",
        ),
        Conv(
            channels=64,
            kernel=5,
            padding=2,
            groups=2,
            norm=LocalNorm(groups=2),
            second_norm=MapNorm(),
            pool=_MAX,
        ),
        Conv(channels=96, kernel=3, padding=1),
        Conv(channels=96, kernel=3, padding=1, groups=2),
        Conv(channels=64, kernel=3, padding=1, groups=2, pool=_MAX, activation_after="pool"),
    ),
    hidden=(256, 256),
    grid=2,
    n_classes=10,
    image_size=32,
    initialisation="torch",
)
"""``original`` for CIFAR-10: the same layers in the same order, a third of the channels, and a smaller stem.

Departure: torch's own random weights; with N(0, 0.01) so few channels hardly learn.
"""

CIFAR: dict[Scale, Data] = {
    "smoke": Data(name="digits", n_train=48, n_val=12, n_test=24, side=32),
    "cpu": Data(name="cifar10", n_train=5000, n_val=500),
    "gpu": Data(name="cifar10", n_train=None, n_val=5000),
}
"""Images of 32 px; on the scale smoke digits."""

PHOTOS: dict[Scale, Data] = {
    "smoke": Data(name="digits", n_train=48, n_val=12, n_test=24, side=80),
    "cpu": Data(name="trashnet5", side=128),
    "gpu": Data(name="trashnet5", side=256),
}
"""Larger images of fewer classes; on the scale smoke digits."""
