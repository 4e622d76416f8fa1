"""Dropout prevents overfitting, and doubles the passes.

Claim: without dropout the network overfits substantially; with it about twice as many passes are needed to converge.
Source: section 4.2. The program's log: dropout over conv4 as well did not help (177).
Command: alexnet reproduce dropout --scale cpu
Time: about 7 minutes on two cores.
Result: Dropout lessens overfitting: test error less training error: +20.7 points (+18.0 to +23.3; 5 seeds):
reproduced. Dropout lowers the test error: -3.2 points (-5.3 to -1.1; 5 seeds): not reproduced. Dropout doubles the
passes to the same training loss: 1.56 times (1.19 to 2.05; 5 seeds): reproduced. Outputs or inputs: the test error is
the same: +1.7 points (-0.6 to +4.1; 5 seeds): not testable at this size. See docs/paper.md.
"""

from dataclasses import replace

from alexnet.reproduction.plan.value import TEST_ERROR, TRAIN_ERROR, Arm, Claim, Experiment, Figure, Scale
from experiments.networks import COLUMNS, SCALES, SEEDS, small_arm

GAP = Figure(name="gap", words="test error less training error")
LEVEL = 1.5
PASSES = Figure(name="train_loss", level=LEVEL, words=f"epochs to a training loss of {LEVEL:g} nats", is_share=False)


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return dropout of outputs, of inputs and none, on images that are not augmented: there networks overfit."""
    networks = {
        "outputs": ("dropout of the outputs of fc6 and fc7, as in the program", COLUMNS),
        "inputs": ("dropout of their inputs, as in many networks since", replace(COLUMNS, dropout_place="inputs")),
        "off": ("no dropout", replace(COLUMNS, dropout=0.0)),
    }
    return tuple(
        small_arm(
            scale,
            name,
            says,
            network,
            measures=("curve",),
            centre=False,
            crop="whole",
            flip="off",
            overfits=True,
        )
        for name, (says, network) in networks.items()
    )


EXPERIMENT = Experiment(
    name="dropout",
    title="Dropout",
    source="section 4.2",
    worth=6,
    claims=(
        Claim(
            says="Dropout lessens overfitting: test error less training error",
            paper="substantial",
            log="-",
            without="off",
            arm="outputs",
            figure=GAP,
        ),
        Claim(
            says="Dropout lowers the test error",
            paper="-",
            log="-",
            without="off",
            arm="outputs",
        ),
        Claim(
            says="Dropout doubles the passes to the same training loss",
            paper="about 2 times",
            log="-",
            without="outputs",
            arm="off",
            figure=PASSES,
            is_ratio=True,
            claimed=2.0,
        ),
        Claim(
            says="Outputs or inputs: the test error is the same",
            paper="-",
            log="-",
            without="inputs",
            arm="outputs",
            expected="equal",
            margin=0.01,
        ),
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 3, "cpu": 1500, "gpu": 50},
    figures=(TEST_ERROR, TRAIN_ERROR, GAP, PASSES),
    plot="train_loss",
    notes=(
        "The training loss is that of the whole training subset after each epoch, without augmentation or dropout. "
        f"{LEVEL:g} nats are early in training (chance is 2.3): passes to convergence may differ more. All arms have "
        "one rate, and without dropout the numbers after fc6 and fc7 are twice as large in training, so the passes "
        "speak of the step size too. A small gap may also mean that less is learned: see the test error."
    ),
)
