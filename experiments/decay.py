"""Weight decay lowers even the training error.

Claim: a weight decay of 0.0005 lowers the error on the training images: it is "not merely a regularizer".
Source: section 5; the paper gives no figure, and the program's log has nothing on it.
Command: alexnet reproduce decay --scale cpu
Time: about 2 minutes on two cores.
Result: Weight decay lowers the training error: -0.7 points (-1.5 to +0.1; 5 seeds): not testable at this size. See
docs/paper.md.
"""

from alexnet.reproduction.plan.value import TEST_ERROR, TRAIN_ERROR, Claim, Experiment
from experiments.networks import SCALES, SEEDS, small_arm

EXPERIMENT = Experiment(
    name="decay",
    title="Weight decay",
    source="section 5",
    worth=7,
    claims=(
        Claim(
            says="Weight decay lowers the training error",
            paper="no figure",
            log="-",
            without="none",
            arm="original",
            figure=TRAIN_ERROR,
        ),
    ),
    arms={
        scale: (
            small_arm(scale, says="weight decay 0.0005"),
            small_arm(scale, "none", "no weight decay", weight_decay=0.0),
        )
        for scale in SCALES
    },
    seeds=SEEDS,
    seconds={"smoke": 2, "cpu": 350, "gpu": 25},
    figures=(TRAIN_ERROR, TEST_ERROR),
    notes="In as few steps as here, a decay of 0.0005 takes only about a tenth off the weights.",
)
