"""The command line with default networks so small that processes can be started and killed by the dozen.

python small.py train ... runs ``alexnet train ...``, the same but for the size of its layers, and without a report,
which takes longer than such a training.
"""

import sys

from alexnet import cli
from alexnet.commands import training
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import resolve
from alexnet.network.value.variants import VARIANTS


def narrow(net: Architecture) -> Architecture:
    """Return a network an eighth as wide."""
    return resolve(net, width=0.125, hidden=(64, 64))


SMALL = narrow(VARIANTS["batchnorm"])
SMALL_FOR_SMALL_IMAGES = narrow(VARIANTS["small"])

if __name__ == "__main__":
    VARIANTS["batchnorm"], VARIANTS["small"] = SMALL, SMALL_FOR_SMALL_IMAGES
    training._write_report = lambda folder: None
    cli.main(sys.argv[1:])
