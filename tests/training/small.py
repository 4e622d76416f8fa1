"""The command line with a default network so small that processes can be started and killed by the dozen.

python small.py train ... runs ``alexnet train ...``, the same but for the size of its layers.
"""

import sys
from dataclasses import replace

from alexnet import cli
from alexnet.network.value.variants import VARIANTS

NET = VARIANTS["batchnorm"]
LAYERS = tuple(replace(layer, channels=layer.channels // 8) for layer in NET.layers)
SMALL = replace(NET, layers=LAYERS, hidden=(64, 64))

if __name__ == "__main__":
    VARIANTS["batchnorm"] = SMALL
    cli.main(sys.argv[1:])
