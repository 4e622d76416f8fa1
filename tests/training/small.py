"""The command line with a default network so small that processes can be started and killed by the dozen.

python small.py train ... runs ``alexnet train ...``, the same but for the size of its layers.
"""

import sys
from dataclasses import replace

from alexnet import cli
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.variants import VARIANTS


def narrow(net: Architecture) -> Architecture:
    """Return a network an eighth as wide."""
    layers = tuple(replace(layer, channels=layer.channels // 8) for layer in net.layers)
    return replace(net, layers=layers, hidden=(64, 64))


SMALL = narrow(VARIANTS["batchnorm"])

if __name__ == "__main__":
    VARIANTS["batchnorm"] = SMALL
    cli.main(sys.argv[1:])
