"""The recipes by name. Each says how to run it, how long it takes on what, and the score to expect."""

from alexnet.data.batches.augmentation import Augmentation
from alexnet.training.choices.recipe import Recipe, RecipeName

MODERN = Recipe(
    name="modern",
    epochs=40,
    batch_size=64,
    batch_follows=True,
    lr=0.02,
    warm_up=0.1,
    label_smoothing=0.1,
    ema=0.04,
    sizes=((0.6, 4 / 7), (0.8, 5 / 7)),
    augmentation=Augmentation(crop="resized", area=(0.35, 1.0), aspect=4 / 3, flip=True),
)
"""The default, for small sets of images and little time.

    alexnet train trashnet5 --time-limit 10m

On two cores with AVX512-bf16, before weights were averaged: test top-1 0.863 (two seeds, 402 images) in ten minutes;
apple_leaf3 0.987 in five. docs/benchmarks.md has what was measured since, docs/experiments.md what was tried.
"""

PAPER = Recipe(
    name="paper",
    epochs=90,
    batch_size=128,
    lr=0.01,
    schedule="steps",
    milestones=(0.25, 0.5, 0.75),
    momentum=0.9,
    nesterov=False,
    weight_decay=5e-4,
    decay_all=True,
    initialisation="paper",
    augmentation=Augmentation(crop="paper", flip=True, colour_shift=0.1),
)
"""Section 5 of the paper, with the images of section 4.1: random windows of 224 out of 256 pixels, half of them
mirrored, colours shifted along their principal components.

    alexnet train imagenet --recipe paper

Departure: the paper divides the learning rate when the error on ``val`` no longer falls, three times in about 90
epochs, by hand; here it is divided after each quarter of the way, so that a run follows from its settings alone.

Departure: images are squashed to a square (``--resize crop`` cuts them as section 2 does), and normalised by
ImageNet's mean and spread instead of less the mean image; ``val`` is judged on whole images.

Departure: torch keeps the learning rate outside the momentum, the paper inside, so that after a division what was
gathered before shrinks as well. Weight decay acts on all parameters, since section 5 names no exception.

The paper's result is that of its own network, which splits some layers in two and normalises responses locally; on the
default network this is its way of learning only.

Section 5 reports five to six days for about 90 passes over 1.2 million images on two GTX 580, and section 6 an error
of 40.7% (top-1, one network, ILSVRC-2012 ``val``, ten views). It has not been run to its end here yet.
"""

ARTICLE = Recipe(
    name="article",
    epochs=20,
    batch_size=64,
    lr=0.005,
    schedule="constant",
    momentum=0.9,
    nesterov=False,
    weight_decay=0.005,
    decay_all=True,
    initialisation="torch",
    image_size=227,
    augmentation=Augmentation(crop="whole", flip=False),
)
"""The from-scratch PyTorch article that the reference document names: CIFAR-10 blown up to 227 pixels, nothing varied.

    alexnet train cifar10 --recipe article

Its data are split 90 to 10 for validation, as ours are by default, and 20 epochs of 45,000 images at 227 px are a
matter of a GPU. Not run to its end here yet, so there is no score to expect.

Departure: pixels are normalised by ImageNet's mean and spread, as everywhere here, and not by CIFAR's; and the 6x6 map
that 227 px give is pooled to the reference network's 5x5, where the article's own network reads 6x6.
"""

RECIPES: dict[RecipeName, Recipe] = {"modern": MODERN, "paper": PAPER, "article": ARTICLE}
