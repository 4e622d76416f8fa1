"""The command line with a network small enough that processes can be started and killed by the dozen.

python small.py train ... runs ``alexnet train ...``, the same but for the size of its layers.
"""

import sys
from dataclasses import replace

from alexnet import cli
from alexnet.network.value.variants import VARIANTS

net = VARIANTS["batchnorm"]
layers = tuple(replace(layer, channels=layer.channels // 8) for layer in net.layers)
VARIANTS["batchnorm"] = replace(net, layers=layers, hidden=(32, 32))

if __name__ == "__main__":
    cli.main(sys.argv[1:])
