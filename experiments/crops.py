"""Crops and mirrors prevent overfitting; colour shifts lower the error.

Claim: without crops and mirrors the network overfits substantially; colour shifts take more than 1 point off
the top-1 error.
Source: section 4.1. The program's log has nothing on it; its run 145 stopped shifting colours after epoch 67 of 91.
Command: alexnet reproduce crops --scale cpu
Time: about 6 minutes on two cores.
Result: Crops and mirrors lessen overfitting: test error less training error: +12.5 points (+10.2 to +14.8; 5 seeds):
reproduced. Crops and mirrors lower the test error: -1.5 points (-3.5 to +0.6; 5 seeds): not testable at this size.
Colour shifts lower the test error: +0.2 points (-1.0 to +1.4; 5 seeds): not testable at this size. See docs/paper.md.
"""

from alexnet.reproduction.plan.value import TEST_ERROR, TRAIN_ERROR, Arm, Claim, Experiment, Figure, Scale
from experiments.networks import SCALES, SEEDS, small_arm

GAP = Figure(name="gap", words="test error less training error")


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return crops and mirrors, neither, and crops and mirrors with colour shifts.

    A network trained on crops is evaluated on the centre crop, and one trained on whole images on these.
    """
    return (
        small_arm(scale, "crops", "crops and mirrors", overfits=True),
        small_arm(
            scale, "neither", "whole images, not mirrored", crop="whole", flip="off", centre=False, overfits=True
        ),
        small_arm(scale, "colours", "crops, mirrors and colour shifts", colour_shift=0.1, overfits=True),
    )


EXPERIMENT = Experiment(
    name="crops",
    title="Crops, mirrors and colour shifts",
    source="section 4.1",
    worth=5,
    claims=(
        Claim(
            says="Crops and mirrors lessen overfitting: test error less training error",
            paper="substantial",
            log="-",
            without="neither",
            arm="crops",
            figure=GAP,
        ),
        Claim(
            says="Crops and mirrors lower the test error",
            paper="-",
            log="-",
            without="neither",
            arm="crops",
        ),
        Claim(
            says="Colour shifts lower the test error",
            paper="more than 1 point",
            log="-",
            without="crops",
            arm="colours",
            claimed=0.01,
        ),
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 3, "cpu": 700, "gpu": 30},
    figures=(TEST_ERROR, TRAIN_ERROR, GAP),
)
