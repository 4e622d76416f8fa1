"""Pools that overlap lower the error.

Claim: windows of 3x3 at stride 2 instead of 2x2 take top-1 and top-5 errors down by 0.4 and 0.3 points.
Source: section 3.4. The program's log: 147, where conv2 is padded by 1 and conv5 by 0, has 0.4 and 0.3.
Command: alexnet reproduce pools --scale cpu
Time: about 2 minutes on two cores.
Result: Pools of 3x3 at stride 2 have a lower error than pools of 2x2: -1.0 points (-1.6 to -0.3; 5 seeds): not
reproduced. See docs/paper.md.
"""

from alexnet.network.value.layers import Pool
from alexnet.reproduction.plan.value import Arm, Claim, Experiment, Scale
from experiments.networks import COLUMNS, SCALES, SEEDS, change_layers, large_arm, original_for_large, small_arm

SEPARATE = Pool(kernel=2, stride=2, rounding="up")


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return both pools on images of 32 px, and on a GPU on larger images.

    147's paddings keep the side of the maps where a pool of 2x2 gives one more than a pool of 3x3: with larger images.
    At 32 px all sides are even, and the maps are the same size with the paddings that there are.
    """
    pools = {number: {"pool": SEPARATE} for number in (1, 2, 5)}
    small = (small_arm(scale), small_arm(scale, "separate", "pools of 2x2", change_layers(COLUMNS, pools)))
    if scale != "gpu":
        return small
    padded = change_layers(
        original_for_large(scale),
        {1: pools[1], 2: pools[2] | {"padding": 1}, 5: pools[5] | {"padding": 0}},
    )
    return (
        *small,
        large_arm(scale, "large", "original on larger images, as it is"),
        large_arm(scale, "large-separate", "on larger images, pools of 2x2 with 147's paddings", padded),
    )


EXPERIMENT = Experiment(
    name="pools",
    title="Overlapping pools",
    source="section 3.4",
    worth=3,
    claims=(
        Claim(
            says="Pools of 3x3 at stride 2 have a lower error than pools of 2x2",
            paper="0.4 points top-1, 0.3 top-5",
            log="147: 0.4, 0.3",
            without="separate",
            arm="original",
            claimed=0.004,
        ),
        Claim(
            says="The same on larger images, with 147's paddings",
            paper="0.4 points top-1, 0.3 top-5",
            log="147: 0.4, 0.3",
            without="large-separate",
            arm="large",
            claimed=0.004,
        ),
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 2, "cpu": 350, "gpu": 30},
)
