"""The networks and images that several experiments share."""

from dataclasses import replace
from typing import Any

from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, LocalNorm, MapNorm, Pool
from alexnet.network.value.variants import ORIGINAL
from alexnet.reproduction.plan.value import Arm, Data, Measure, Scale, Weights

_MAX, _MEAN = Pool(rounding="up"), Pool(kind="average", rounding="up")

# The program's alphas are for pixels from 0 to 255. Here pixels are divided by their spread, about 0.226 of that, and
# alpha is in units of squares. With the program's own, its norms would divide everything by a constant.
UNIT = (0.226 * 255) ** 2
ACROSS = LocalNorm(alpha=1e-4 * UNIT)
WITHIN = MapNorm(alpha=1e-3 * UNIT)

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
            norm=replace(ACROSS, place="before", groups=2),
            pool=_MAX,
            activation_after="pool",
        ),
        Conv(
            channels=64,
            kernel=5,
            padding=2,
            groups=2,
            norm=replace(ACROSS, groups=2),
            second_norm=WITHIN,
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
"""``original`` for CIFAR-10: the same layers in the same order, a third of the channels, and a smaller stem."""

CIFAR: dict[Scale, Data] = {
    "smoke": Data(name="digits", n_train=48, n_val=12, n_test=24, side=32),
    "cpu": Data(name="cifar10", n_train=5000, n_val=1000),
    "gpu": Data(name="cifar10", n_train=None, n_val=5000),
}
"""Images of 32 px; on the scale smoke digits."""

LARGE: dict[Scale, Data] = {
    "smoke": Data(name="digits", n_train=48, n_val=12, n_test=24, side=80),
    "cpu": Data(name="trashnet5", side=147),
    "gpu": Data(name="trashnet5", side=256),
}
"""Larger images of fewer classes; on the scale smoke digits."""

MILESTONES = (0.7, 0.9)
SCALES: tuple[Scale, ...] = ("smoke", "cpu", "gpu")
_TRAINING: dict[Scale, dict[str, Any]] = {
    "smoke": {"epochs": 1, "batch_size": 16, "lr": 0.01},
    "cpu": {"epochs": 12, "batch_size": 32, "lr": 0.02, "precision": "fp32"},
    "gpu": {"epochs": 10, "batch_size": 256, "lr": 0.04},
}
# Few images, many times: there, networks overfit.
_FEW: dict[Scale, Data] = CIFAR | {"cpu": replace(CIFAR["cpu"], n_train=2000)}
_MANY_EPOCHS: dict[Scale, int] = {"smoke": 1, "cpu": 24, "gpu": 20}


def small_arm(
    scale: Scale,
    name: str = "original",
    says: str = "as it is: two columns, both norms, overlapping pools",
    network: Architecture = COLUMNS,
    *,
    measures: tuple[Measure, ...] = (),
    centre: bool = True,
    overfits: bool = False,
    **training: Any,
) -> Arm:
    """Return ``original`` for CIFAR-10, or a changed one, trained as in section 5: the arm of most experiments.

    Without changes it is the same in all of them, so its runs are computed once. Colours are not shifted unless said.
    With ``overfits`` it sees fewer images more often.
    """
    usual = {"recipe": "paper", "image_size": 32, "colour_shift": 0.0, **_TRAINING[scale]}
    usual |= {"epochs": _MANY_EPOCHS[scale]} if overfits else {}
    return Arm(
        name=name,
        says=says,
        network=network,
        data=(_FEW if overfits else CIFAR)[scale],
        training=usual | training,
        measures=measures,
        weights="he",
        milestones=MILESTONES,
        centre=centre,
    )


SEEDS: dict[Scale, tuple[int, ...]] = {"smoke": (0,), "cpu": (0, 1, 2, 3, 4), "gpu": (0, 1, 2)}


def change_layers(net: Architecture, changes: dict[int, dict[str, Any]], **other: Any) -> Architecture:
    """Return a network with some convolutional layers changed, by number from 1."""
    layers = tuple(replace(layer, **changes.get(number, {})) for number, layer in enumerate(net.layers, start=1))
    return replace(net, layers=layers, **other)


def in_units(layer: Conv) -> Conv:
    """Return a layer of the program with the alphas of its norms in units of normalised pixels."""
    norms = {part: norm for part, norm in layer.norms.items() if isinstance(norm, LocalNorm | MapNorm)}
    changed: dict[str, Any] = {part: replace(norm, alpha=norm.alpha * UNIT) for part, norm in norms.items()}
    return replace(layer, **changed)


def original_for_large(scale: Scale, side: int | None = None, width: float | None = None) -> Architecture:
    """Return ``original`` as it is on a GPU, and at half the width for smaller images on a CPU.

    Its last map is as large as the images give; the program's is 6x6.
    """
    side = {"smoke": 67, "cpu": 96, "gpu": 224}[scale] if side is None else side
    width = {"smoke": 1 / 16, "cpu": 0.5, "gpu": 1.0}[scale] if width is None else width
    layers = tuple(in_units(replace(layer, channels=round(layer.channels * width))) for layer in ORIGINAL.layers)
    hidden = {"smoke": (16, 16), "cpu": (512, 512), "gpu": (4096, 4096)}[scale]
    return for_side(replace(ORIGINAL, layers=layers, hidden=hidden, initialisation="torch"), side)


def for_side(net: Architecture, side: int) -> Architecture:
    """Return a network for images of another size; the first hidden layer reads as large a map as they give."""
    grid = side
    for layer in net.layers:
        grid = layer.pooled_side(layer.conv_side(grid))
    return replace(net, image_size=side, grid=grid)


def large_arm(
    scale: Scale,
    name: str = "original",
    says: str = "as it is",
    network: Architecture | None = None,
    *,
    measures: tuple[Measure, ...] = ("kernels", "neighbours"),
    side: int | None = None,
    weights: Weights = "he",
    **training: Any,
) -> Arm:
    """Return ``original`` for larger images, or a changed one."""
    net = network or original_for_large(scale, side)
    usual: dict[Scale, dict[str, Any]] = {
        "smoke": {"epochs": 1, "batch_size": 16},
        "cpu": {"epochs": 8, "batch_size": 16, "lr": 0.01, "precision": "fp32"},
        "gpu": {"epochs": 30, "batch_size": 64, "lr": 0.01},
    }
    shared = {"recipe": "paper", "image_size": net.image_size, "colour_shift": 0.0, **usual[scale]}
    return Arm(
        name=name,
        says=says,
        network=net,
        data=LARGE[scale],
        training=shared | training,
        measures=measures,
        weights=weights,
        milestones=MILESTONES if weights == "he" else None,
        centre=True,
    )
