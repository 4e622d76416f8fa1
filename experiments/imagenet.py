"""ImageNet as a whole: how long it would take.

Claim: one network has 40.7% top-1 and 18.2% top-5 error on ILSVRC-2012 val, with ten views.
Source: section 6, table 2. The program's log: number 145 has 40.66% and 18.21%.
Command: alexnet reproduce imagenet --scale cpu
Time: about 1 minute: a few steps are timed, and nothing is trained.
Result: 41 images/s on two cores, so 788 hours of training steps. See docs/paper.md.
"""

from dataclasses import replace

from alexnet.network.value.variants import ORIGINAL
from alexnet.reproduction.plan.value import Arm, Data, Experiment, Figure, Scale
from experiments.networks import SCALES

SPEED = Figure(name="images_per_second", words="images/s", is_share=False)


def arm(scale: Scale) -> Arm:
    """Return ``original`` as it is, on images of 256 px made of digits: the speed does not depend on what they show.

    Ten classes instead of 1,000 leave out 0.6% of its multiplications.
    """
    side, batch_size = {"smoke": (67, 8), "cpu": (224, 32), "gpu": (224, 128)}[scale]
    net = replace(ORIGINAL, image_size=side, hidden=(16, 16)) if scale == "smoke" else ORIGINAL
    return Arm(
        name="speed",
        says=f"original, {side} px, batches of {batch_size}, ten classes",
        network=net,
        data=Data(name="digits", n_train=8 * batch_size, n_val=16, n_test=16, side=256 if scale != "smoke" else 80),
        training={"recipe": "original", "image_size": side, "batch_size": batch_size, "epochs": 1},
        measures=("speed",),
    )


EXPERIMENT = Experiment(
    name="imagenet",
    title="ImageNet as a whole",
    source="section 6, tables 1 and 2",
    worth=12,
    claims=(),
    arms={scale: (arm(scale),) for scale in SCALES},
    seeds=dict.fromkeys(SCALES, (0,)),
    seconds={"smoke": 1, "cpu": 60, "gpu": 20},
    figures=(SPEED,),
    plot="",
)
