"""The family: each variant as a value, with its source and its departures from the paper."""

from dataclasses import replace
from typing import Literal

from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import BatchNorm, Conv, LocalNorm, MapNorm, Pool

Variant = Literal["batchnorm", "original", "paper", "caffenet", "torchvision", "small"]

BATCHNORM = Architecture()
"""The reference network: a modern AlexNet with batch norm. The default, but for small images in training.

Departure: one path instead of two GPUs (section 3.5); batch norm between convolution and ReLU instead of local response
normalisation (section 3.3); no padding in conv1, so that fc6 reads 5x5 maps; and torch's own random weights.

Source: the reference document's table.
"""

PAPER = Architecture(
    variant="paper",
    layers=(
        Conv(channels=96, kernel=11, stride=4, norm=LocalNorm(groups=2), pool=Pool()),
        Conv(channels=256, kernel=5, padding=2, groups=2, norm=LocalNorm(groups=2), pool=Pool()),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=384, kernel=3, padding=1, groups=2),
        Conv(channels=256, kernel=3, padding=1, groups=2, pool=Pool()),
    ),
    grid=6,
    dropout_place="outputs",
    image_size=227,
    initialisation="paper",
)
"""What the paper's text says. ``original`` is what ran.

Departure: the paper says 224x224 pixels, but its 55x55 maps need 227 where all windows of 11x11 lie inside the image.
The program rounds the number of windows up.

Departure: the size of the neighbourhood divides alpha in local response normalisation: see ``LocalNorm``.

Departure: what dropout keeps is scaled up in training; the paper halves everything in prediction. The expected numbers
are in the same ratio, and weights of other programs mean the same here.

Source: the paper, sections 3 and 5.
"""

ORIGINAL = replace(
    PAPER,
    variant="original",
    layers=(
        Conv(
            channels=96,
            kernel=11,
            stride=4,
            rounding="up",
            norm=LocalNorm(place="before", groups=2),
            pool=Pool(rounding="up"),
            activation_after="pool",
        ),
        Conv(
            channels=256,
            kernel=5,
            padding=2,
            groups=2,
            norm=LocalNorm(groups=2),
            second_norm=MapNorm(),
            pool=Pool(rounding="up"),
        ),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=384, kernel=3, padding=1, groups=2),
        Conv(channels=256, kernel=3, padding=1, groups=2, pool=Pool(rounding="up"), activation_after="pool"),
    ),
    dropout_scaling="prediction",
    image_size=224,
    initialisation="original",
)
"""The network that won in 2012, to the letter: number 145 of its program.

The number of windows is rounded up, so 224 px are enough; the first norm comes before the ReLU; layer 2 has a second
norm, within maps; and conv3 to conv5 begin with larger weights. docs/original.md compares it with the paper's text.

Source: computerhistory/AlexNet-Source-Code, layers-145.cfg and layer-params-145.cfg.
"""

CAFFENET = replace(
    PAPER,
    variant="caffenet",
    layers=tuple(
        replace(layer, norm=LocalNorm(k=1.0, place="pooled") if layer.norm else None) for layer in PAPER.layers
    ),
    initialisation="caffenet",
)
"""BVLC's reference network, the AlexNet that most people know.

Departure: pooling comes before normalisation, so a quarter of the numbers is normalised; and k is 1, Caffe's default.
Its neighbourhood is not limited to a column.

Departure: biases begin with 0.1 where the paper has 1, as in BVLC's own AlexNet, whose authors say that ones "gave flat
loss". BVLC's CaffeNet itself has ones. The weights of fc6 and fc7 are drawn from N(0, 0.005).

Source: models/bvlc_reference_caffenet and models/bvlc_alexnet of BVLC/caffe.
"""

TORCHVISION = Architecture(
    variant="torchvision",
    layers=(
        Conv(channels=64, kernel=11, stride=4, padding=2, pool=Pool()),
        Conv(channels=192, kernel=5, padding=2, pool=Pool()),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=256, kernel=3, padding=1),
        Conv(channels=256, kernel=3, padding=1, pool=Pool()),
    ),
    grid=6,
)
"""``torchvision.models.alexnet``, to the bit: the network of "One weird trick", without its normalisation.

Departure: one path, fewer channels, no normalisation of any kind, and torch's own random weights.

Source: Krizhevsky, 2014, "One weird trick for parallelizing convolutional neural networks"; torchvision.
"""

SMALL = Architecture(
    variant="small",
    layers=(
        Conv(channels=64, kernel=5, padding=2, norm=BatchNorm(), pool=Pool()),
        Conv(channels=128, kernel=3, padding=1, norm=BatchNorm(), pool=Pool()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm(), pool=Pool()),
    ),
    grid=3,
    hidden=(1024, 1024),
    image_size=32,
)
"""For images of 28 to 64 pixels, as in CIFAR-10 and MNIST. ``alexnet train`` chooses it for images of up to 64 pixels.

Departure: conv1 has stride 1, since stride 4 would leave 6x6 maps for an image of 32 px; fewer channels and smaller
hidden layers, for images with less detail; batch norm as in the reference network.

Source: this package, in the spirit of the paper: five convolutions, three overlapping pools, two hidden layers with
dropout.
"""

VARIANTS: dict[Variant, Architecture] = {
    "batchnorm": BATCHNORM,
    "original": ORIGINAL,
    "paper": PAPER,
    "caffenet": CAFFENET,
    "torchvision": TORCHVISION,
    "small": SMALL,
}
"""The family by name, each at 1,000 classes."""
