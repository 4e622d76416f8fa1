"""Each middle layer is worth about two points.

Claim: removing any of the middle layers costs about 2 points of top-1.
Source: section 7; the program's log has nothing on it.
Command: alexnet reproduce depth --scale cpu
Time: about 9 minutes on two cores.
Result: conv3 lowers the error: -1.9 points (-2.5 to -1.2; 5 seeds): not reproduced. conv4 lowers the error: -1.9
points (-2.5 to -1.2; 5 seeds): not reproduced. conv5 lowers the error: -2.6 points (-4.5 to -0.8; 5 seeds): not
reproduced. fc7 lowers the error: -6.4 points (-7.4 to -5.5; 5 seeds): not reproduced. See docs/paper.md.
"""

from dataclasses import replace

from alexnet.network.value.architecture import Architecture
from alexnet.reproduction.plan.value import Arm, Claim, Experiment, Scale
from experiments.networks import COLUMNS, SCALES, SEEDS, small_arm

MIDDLE = ("conv3", "conv4", "conv5")  # the layers of which the paper speaks


def without(number: int) -> Architecture:
    """Return the network without one of conv3, conv4 and conv5; its neighbours do what must not be lost with it.

    Without conv3, conv4 reads both columns, so it is the network without conv4; without conv5, conv4 has its pool.
    """
    layers = dict(enumerate(COLUMNS.layers, start=1))
    left_out = layers.pop(number)
    if number == 3:
        layers[4] = replace(layers[4], groups=1)
    if number == 5:
        layers[4] = replace(layers[4], pool=left_out.pool, activation_after=left_out.activation_after)
    return replace(COLUMNS, layers=tuple(layers.values()))


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return the network, and the network without each layer."""
    return (
        small_arm(scale),
        *(small_arm(scale, f"no-conv{number}", f"without conv{number}", without(number)) for number in (3, 4, 5)),
        small_arm(scale, "no-fc7", "without fc6 or fc7", replace(COLUMNS, hidden=COLUMNS.hidden[:1])),
    )


EXPERIMENT = Experiment(
    name="depth",
    title="Depth",
    source="section 7",
    worth=9,
    claims=tuple(
        Claim(
            says=f"{layer} lowers the error",
            paper="about 2 points" if layer in MIDDLE else "-",
            log="-",
            without=f"no-{layer}",
            arm="original",
            claimed=0.02 if layer in MIDDLE else None,
        )
        for layer in (*MIDDLE, "fc7")
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 4, "cpu": 1400, "gpu": 50},
    notes=(
        "Without fc6 or without fc7 the network is the same: one hidden layer of the same size is left. Without "
        "conv3 or without conv4 it is the same too: one layer of 96 channels that reads both columns. Without conv5, "
        "fc6 reads the 96 channels of conv4 instead of 64."
    ),
)
