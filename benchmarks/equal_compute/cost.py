"""The modelled time of a training step on one slow CPU core with AVX2: what is equal in all arms of a budget."""

import numpy as np

from benchmarks.equal_compute.arm import Arm

# Measured rates of such a core, in multiply-adds and additions per second.
CONVOLUTIONS, LINEAR_LAYERS, NEWTON_SCHULZ = 65e9, 45e9, 55e9
# The weights of the convolutions as matrices.
MATRICES = {
    "batchnorm": ((96, 363), (256, 2400), (384, 2304), (384, 3456), (256, 3456)),
    "small": ((64, 75), (128, 576), (256, 1152), (256, 2304), (256, 2304)),
}


def step_seconds(arm: Arm, size: int, width: float) -> float:
    """Return the modelled seconds of a training step.

    Args:
        arm: the way to train.
        size: image size in pixels.
        width: share of the channels and hidden units.
    """
    of_width = width * width
    if arm.variant == "small":
        conv1, others, fc6 = _small(size)
        fc7, rest = 1024 * 1024, 0.004
    else:
        conv1, others, fc6, is_folded = _batchnorm(size, bool(arm.dropout))
        fc7, rest = 4096 * 4096, 0.05 * of_width + (0.06 * of_width if is_folded else 0.0)
    # Three products each, forward and backward; conv1 has no gradient for its inputs.
    conv = 6 * (conv1 * width + others * of_width) - 2 * conv1 * width
    linear = 6 * (fc6 + fc7) * of_width
    if arm.optimizer == "muon":
        products = sum(4 * m * m * n + 18 * m**3 for m, n in MATRICES[arm.variant])
        scale = 1.0 if arm.variant == "small" else width**3
        rest += products * scale / NEWTON_SCHULZ + 0.01 * of_width
    return arm.batch_size * (conv / CONVOLUTIONS + linear / LINEAR_LAYERS) + rest


def _small(size: int) -> tuple[int, int, int]:
    """Return the multiply-adds an image of conv1, of the other convolutions and of fc6 in ``small``."""
    n2 = (size - 3) // 2 + 1
    n3 = (n2 - 3) // 2 + 1
    n4 = (n3 - 3) // 2 + 1
    others = 73_728 * n2**2 + (294_912 + 589_824 + 589_824) * n3**2
    return 4_800 * size**2, others, 256 * (n4**2 if n4 < 3 else 9) * 1024


def _batchnorm(size: int, has_dropout: bool) -> tuple[int, int, int, bool]:
    """Return the same for ``batchnorm``, and whether pooling and fc6 are one matrix: see ``Layers``."""
    n1 = (size - 11) // 4 + 1
    n2 = (n1 - 3) // 2 + 1
    n3 = (n2 - 3) // 2 + 1
    n4 = (n3 - 3) // 2 + 1
    others = 614_400 * n2**2 + (884_736 + 1_327_104 + 884_736) * n3**2
    is_folded = n4 < 5 and not has_dropout
    return 34_848 * n1**2, others, (256 * n4**2 if is_folded else 6_400) * 4096, is_folded


def image_size(arm: Arm, progress: float) -> int:
    """Return the image size in pixels at a progress in [0, 1)."""
    ends = np.cumsum([share for _, share in arm.sizes])
    return next((size for (size, _), end in zip(arm.sizes, ends, strict=True) if progress < end), arm.sizes[-1][0])


def width(arm: Arm, progress: float) -> float:
    """Return the width of the network at a progress in [0, 1)."""
    return arm.width * (0.5 if progress < arm.grow else 1.0)


def n_steps(arm: Arm, n_train: int) -> int:
    """Return how many steps the arm takes with so many training images."""
    if arm.epochs:
        return round(arm.epochs * (n_train // arm.batch_size))
    places = (np.arange(200) + 0.5) / 200
    mean = sum(step_seconds(arm, image_size(arm, place), width(arm, place)) for place in places) / len(places)
    return int(arm.seconds / mean)
