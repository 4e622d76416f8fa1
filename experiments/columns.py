"""Two columns are better than half the network, and better if they talk.

Claim: two columns take top-1 and top-5 errors down by 1.7 and 1.2 points, compared with one column that
has half the kernels.
Source: section 3.5. The program's log: 145-half (39.17% instead of 37.5% on ILSVRC-2010 test), 150 (columns that never
talk).
Command: alexnet reproduce columns --scale cpu
Time: about 4 minutes on two cores.
Result: Two columns have a lower error than one: +3.5 points (+1.2 to +5.8; 5 seeds): reproduced. Columns that talk in
conv3 have a lower error than columns that do not: -0.6 points (-3.2 to +1.9; 5 seeds): not testable at this size. See
docs/paper.md.
"""

from dataclasses import replace

from alexnet.reproduction.plan.value import Arm, Claim, Experiment, Scale
from experiments.networks import ACROSS, COLUMNS, SCALES, SEEDS, change_layers, small_arm

SILENT = change_layers(COLUMNS, {3: {"groups": 2}})
HALF = change_layers(
    COLUMNS,
    {
        1: {"channels": 16, "norm": replace(ACROSS, place="before")},
        2: {"channels": 32, "groups": 1, "norm": ACROSS},
        3: {"channels": 48},
        4: {"channels": 48, "groups": 1},
        5: {"groups": 1},  # as wide as two, as in the program
    },
)


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return two columns, two that never talk in the convolutions, and one."""
    return (
        small_arm(scale),
        small_arm(scale, "silent", "conv3 reads its own column only", SILENT),
        small_arm(scale, "half", "one column, but conv5 as wide as two", HALF),
    )


EXPERIMENT = Experiment(
    name="columns",
    title="Two columns",
    source="section 3.5",
    worth=4,
    claims=(
        Claim(
            says="Two columns have a lower error than one",
            paper="1.7 points top-1, 1.2 top-5",
            log="145-half: 1.7, 1.2",
            without="half",
            arm="original",
            claimed=0.017,
        ),
        Claim(
            says="Columns that talk in conv3 have a lower error than columns that do not",
            paper="-",
            log="150: 41.8%, beside 40.7%",
            without="silent",
            arm="original",
            claimed=0.011,
        ),
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 3, "cpu": 700, "gpu": 30},
    notes=(
        "Fully-connected layers read both columns in each arm: this package has no groups there. Number 150 is split "
        "there too, and its columns are wider."
    ),
)
