"""Ten views and five networks lower the error.

Claim: ten views instead of the centre crop take the top-1 error from 39.0% to 37.5%; five networks
instead of one from 40.7% to 38.1%.
Source: sections 4.1 and 6, tables 1 and 2. The program's log has both for one network, number 145, and no five.
Command: alexnet reproduce views --scale cpu
Time: about 10 minutes on two cores.
Result: Ten views have a lower error than the centre crop: +0.9 points (+0.6 to +1.3; 3 seeds): reproduced, but
smaller. Five networks have a lower error than one: +1.1 points (+0.5 to +1.8; 3 seeds): reproduced, but smaller. See
docs/paper.md.
"""

from dataclasses import replace

from alexnet.reproduction.plan.value import Arm, Claim, Experiment, Figure, Scale
from experiments.networks import SCALES, small_arm

ONE = Figure(name="one_view_error", words="one view")
TEN = Figure(name="ten_views_error", words="ten views")
FIVE = Figure(name="ensemble_error", words="ten views, all networks")


def arm(scale: Scale) -> Arm:
    """Return five networks that learn from the same images, with other random weights and batches."""
    five = small_arm(scale, "five", "five networks", measures=("views",))
    return replace(five, n_networks=2 if scale == "smoke" else 5)


EXPERIMENT = Experiment(
    name="views",
    title="Ten views, five networks",
    source="sections 4.1 and 6",
    worth=8,
    claims=(
        Claim(
            says="Ten views have a lower error than the centre crop",
            paper="1.5 points: 39.0% to 37.5%",
            log="145: 39.0% to 37.5%",
            without="five",
            figure=ONE,
            arm="five",
            other=TEN,
            claimed=0.015,
        ),
        Claim(
            says="Five networks have a lower error than one",
            paper="2.6 points: 40.7% to 38.1%",
            log="-",
            without="five",
            figure=TEN,
            arm="five",
            other=FIVE,
            claimed=0.026,
        ),
    ),
    arms={scale: (arm(scale),) for scale in SCALES},
    seeds={"smoke": (0,), "cpu": (0, 1, 2), "gpu": (0, 1, 2)},
    seconds={"smoke": 3, "cpu": 750, "gpu": 50},
    figures=(ONE, TEN, FIVE),
    plot="",
    notes="The errors of one network are the mean of all five.",
)
