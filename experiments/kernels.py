"""Kernels specialise, one column on colour; fc7 finds images of the same class.

Claim: kernels of conv1 select frequencies, orientations and colours; those of one column are largely
without colour, those of the other largely coloured; images that are near each other in fc7 are alike.
Source: section 6.1, figures 3 and 4. The program's log has nothing on it.
Command: alexnet reproduce kernels --scale cpu
Time: none: its runs are those of norm on larger images.
Result: Kernels of conv1 have structure: neighbouring weights are alike: +0.04 (+0.02 to +0.06; 5 seeds): reproduced.
One column's kernels are more coloured than the other's, beyond chance: +0.00 (-0.01 to +0.01; 5 seeds): not testable
at this size. The nearest images by fc7 have the image's class, more often than by pixels: +2.5 points (+0.8 to +4.3;
5 seeds): reproduced. See docs/paper.md.
"""

from alexnet.reproduction.plan.value import Claim, Experiment, Figure
from experiments.networks import SCALES, SEEDS, large_arm

STRUCTURE = Figure(name="structure", words="structure", is_share=False)
ORIENTATION = Figure(name="orientation", words="orientation", is_share=False)
SMOOTH = Figure(name="orientation_by_chance", words="of noise as smooth", is_share=False)
GAP = Figure(name="colour_gap", words="columns apart in colour", is_share=False)
SAME = Figure(name="neighbours_same_class", words="neighbours of the same class")

EXPERIMENT = Experiment(
    name="kernels",
    title="What it learns: kernels and neighbours",
    source="section 6.1, figures 3 and 4",
    worth=10,
    claims=(
        Claim(
            says="Kernels of conv1 have structure: neighbouring weights are alike",
            paper="figure 3",
            log="-",
            without="large",
            figure=STRUCTURE,
            arm="large",
            other=Figure(name="structure_random", words="structure of random weights", is_share=False),
        ),
        Claim(
            says="One column's kernels are more coloured than the other's, beyond chance",
            paper="figure 3",
            log="-",
            without="large",
            figure=GAP,
            arm="large",
            other=Figure(name="colour_gap_by_chance", words="by chance", is_share=False),
        ),
        Claim(
            says="The nearest images by fc7 have the image's class, more often than by pixels",
            paper="figure 4",
            log="-",
            without="large",
            figure=SAME,
            arm="large",
            other=Figure(name="neighbours_by_pixels", words="neighbours by pixels"),
        ),
    ),
    arms={scale: (large_arm(scale, "large", "original on larger images"),) for scale in SCALES},
    seeds=SEEDS,
    seconds={"smoke": 1, "cpu": 10, "gpu": 5},
    figures=(STRUCTURE, ORIENTATION, SMOOTH, GAP, SAME),
    plot="kernels",
    notes=(
        "Structure is the correlation of neighbouring weights; orientation the length of the mean of exp(2i angle) "
        "over the power spectrum, beside that of noise with the kernels' mean power at each frequency: smoothness "
        "alone gives a small kernel some, up to a quarter more than such noise has; colour is the share of a "
        "kernel's energy that differs between its three channels, and by chance is the mean gap between random "
        "halves of the same kernels. Neighbours are the five nearest training images by Euclidean distance; they are "
        "whole images, although the network learned from crops."
    ),
)
