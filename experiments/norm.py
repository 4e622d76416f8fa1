"""Response normalisation lowers the error; the norm within maps and the order in layer 2 hardly matter.

Claim: normalisation across maps takes a four-layer CIFAR-10 network from 13% to 11% test error, and ImageNet's top-1
and top-5 errors down by 1.4 and 1.2 points.
Source: section 3.3. The program's log: 148 (no normalisation: 1.4 and 1.2 points worse), 166 (conv2 normalised before
its ReLU), 167 (no norms after conv2), of which the last two had another schedule.
Command: alexnet reproduce norm --scale cpu
Time: about 20 minutes on two cores.
Result: Normalisation across maps lowers the error of a four-layer network on CIFAR-10: -1.2 points (-1.7 to -0.6; 5
seeds): not reproduced. Normalisation lowers the error of the whole network, here on CIFAR-10: -0.0 points (-1.1 to
+1.1; 5 seeds): smaller, if anything. The same on larger images: +1.1 points (-2.8 to +5.0; 5 seeds): not testable at
this size. Before or after conv2's ReLU, normalisation does the same: +0.1 points (-0.8 to +1.0; 5 seeds): not
testable at this size. The second norm, within maps, is worth nothing: -1.7 points (-2.5 to -1.0; 5 seeds): not
testable at this size. See docs/paper.md.
"""

from dataclasses import replace

from alexnet.network.value.layers import MapNorm
from alexnet.reproduction.plan.value import (
    TEST_ERROR,
    TRAIN_ERROR,
    VAL_ERROR,
    Arm,
    Choice,
    Claim,
    Experiment,
    Figure,
    Scale,
)
from experiments.networks import (
    ACROSS,
    CIFAR,
    COLUMNS,
    FOUR_LAYERS,
    MILESTONES,
    SCALES,
    SEEDS,
    UNIT,
    WITHIN,
    change_layers,
    large_arm,
    original_for_large,
    small_arm,
)

NOTHING = {"norm": None, "second_norm": None}
SPREAD = Figure(name="norm_spread", words="spread of the norms' factors")


def four_layers(scale: Scale) -> tuple[Arm, ...]:
    """Return the four-layer network with no norm, with one across maps and with the program's own, within maps.

    Source: computerhistory/AlexNet-Source-Code, layers-18pct.cfg: the norms within maps.
    """
    epochs, batch_size = {"smoke": (1, 16), "cpu": (8, 32), "gpu": (15, 256)}[scale]
    within = MapNorm(place="pooled", size=3, alpha=5e-5 * UNIT)
    norms = {
        "four-none": ("four layers, no norm", None),
        "four-across": ("four layers, norm across maps after the pools", replace(ACROSS, place="pooled")),
        "four-within": ("four layers, norm within maps after the pools", within),
    }
    return tuple(
        Arm(
            name=name,
            says=says,
            network=change_layers(FOUR_LAYERS, {1: {"norm": norm, "activation_after": "conv"}, 2: {"norm": norm}}),
            data=CIFAR[scale],
            milestones=MILESTONES,
            training={
                "recipe": "paper",
                "crop": "whole",
                "colour_shift": 0.0,
                "image_size": 32,
                "epochs": epochs,
                "batch_size": batch_size,
                "lr": 0.01,
                "precision": "fp32" if scale == "cpu" else "auto",
            },
        )
        for name, (says, norm) in norms.items()
    )


def arms(scale: Scale) -> tuple[Arm, ...]:
    """Return the arms of the three networks."""
    before = {"norm": replace(ACROSS, groups=2, place="before"), "second_norm": replace(WITHIN, place="before")}
    large = original_for_large(scale)
    cifar = (
        small_arm(scale),
        small_arm(scale, "none", "no norm", change_layers(COLUMNS, {1: NOTHING, 2: NOTHING})),
        small_arm(scale, "before", "conv2's norms before its ReLU", change_layers(COLUMNS, {2: before})),
        small_arm(scale, "one", "no norm within maps", change_layers(COLUMNS, {2: {"second_norm": None}})),
    )
    # Smoke shows that all of it runs; a GPU has the time for every arm.
    some: tuple[Arm, ...] = (
        large_arm(scale, "large", "original on larger images, as it is"),
        large_arm(scale, "large-none", "on larger images, no norm", change_layers(large, {1: NOTHING, 2: NOTHING})),
    )
    if scale == "gpu":
        some += (
            large_arm(scale, "large-before", "on larger images, before ReLU", change_layers(large, {2: before})),
            large_arm(
                scale,
                "large-one",
                "on larger images, no norm within maps",
                change_layers(large, {2: {"second_norm": None}}),
            ),
        )
    return four_layers(scale) + cifar + some


EXPERIMENT = Experiment(
    name="norm",
    title="Response normalisation",
    source="section 3.3",
    worth=2,
    claims=(
        Claim(
            says="Normalisation across maps lowers the error of a four-layer network on CIFAR-10",
            paper="13% to 11%",
            log="-",
            without="four-none",
            arm="four-across",
            claimed=0.02,
        ),
        Claim(
            says="Normalisation lowers the error of the whole network, here on CIFAR-10",
            paper="1.4 points top-1, 1.2 top-5",
            log="148: 1.4, 1.2",
            without="none",
            arm="original",
            claimed=0.014,
        ),
        Claim(
            says="The same on larger images",
            paper="1.4 points top-1, 1.2 top-5",
            log="148: 1.4, 1.2",
            without="large-none",
            arm="large",
            claimed=0.014,
        ),
        Claim(
            says="Before or after conv2's ReLU, normalisation does the same",
            paper="-",
            log="166: 41.1%, beside 40.7%",
            without="before",
            arm="original",
            expected="equal",
            margin=0.01,
        ),
        Claim(
            says="The second norm, within maps, is worth nothing",
            paper="-",
            log="167, without both of conv2: 40.5%, beside 40.7%",
            without="one",
            arm="original",
            expected="equal",
            margin=0.01,
        ),
        Claim(
            says="Before or after conv2's ReLU: the same on larger images",
            paper="-",
            log="166: 41.1%, beside 40.7%",
            without="large-before",
            arm="large",
            expected="equal",
            margin=0.01,
        ),
        Claim(
            says="No second norm: the same on larger images",
            paper="-",
            log="167, without both of conv2: 40.5%, beside 40.7%",
            without="large-one",
            arm="large",
            expected="equal",
            margin=0.01,
        ),
    ),
    arms={scale: arms(scale) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 10, "cpu": 3600, "gpu": 100},
    choice=Choice(
        setting="lr",
        values=(0.02, 0.01, 0.04),
        arms=("four-none", "four-across", "original", "none"),
        scales=("smoke", "cpu"),
        by=VAL_ERROR,
    ),
    figures=(TEST_ERROR, TRAIN_ERROR, SPREAD),
    notes=(
        "The arms before and one have the rate of original. On larger images all arms have one rate, which none of "
        "them chose. The spread of a norm's factors is their standard deviation by their mean on test images, of the "
        "norm where it is least: near zero, the norm divides everything by the same. Runs 166 and 167 of the program "
        "had another schedule than 145, so its log compares them loosely."
    ),
)
