"""The recipes by name. Each says how to run it, how long it takes on what, and the score to expect."""

from alexnet.data.augmentation import Augmentation
from alexnet.training.recipe import Recipe, RecipeName

MODERN = Recipe(
    name="modern",
    epochs=40,
    batch_size=64,
    batch_follows=True,
    lr=0.02,
    warm_up=0.1,
    label_smoothing=0.1,
    ema=0.04,
    sizes=((0.6, 128), (0.8, 160)),
    augmentation=Augmentation(crop="resized", area=(0.35, 1.0), aspect=4 / 3, flip=True),
)
"""The default, for small sets of photos and little time.

PLACEHOLDER
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
"""Section 5 of the paper, with the pictures of section 4.1: random windows of 224 out of 256 pixels, half of them
mirrored, colours shifted along their principal components.

    alexnet train imagenet --recipe paper

Departure: the paper divides the learning rate when the error on ``val`` no longer falls, three times in about 90
epochs, by hand; here it is divided after each quarter of the way, so that a run follows from its settings alone.

The paper's weights shrink by ``lr * weight_decay`` a step, inside the momentum, biases included: so do these. Its
result is the paper's own network, which splits some layers in two and normalises responses locally; on the default network
this is the paper's way of learning only.

Expect 90 passes: on 1.28 million pictures that is a matter of GPUs, not of a laptop; on small sets, of an untuned
baseline. PLACEHOLDER
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
    image_size=227,
    augmentation=Augmentation(crop="whole", flip=False),
)
"""The from-scratch PyTorch article that the reference document names: CIFAR-10 blown up to 227 pixels, nothing varied.

    alexnet train cifar10 --recipe article

Its data are split 90 to 10 for validation, as ours are by default. The article reports neither seeds nor spread.
PLACEHOLDER
"""

RECIPES: dict[RecipeName, Recipe] = {"modern": MODERN, "paper": PAPER, "article": ARTICLE}
