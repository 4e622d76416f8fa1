"""The recipes by name. Each states its command, its running time and the score to expect."""

from alexnet.data.batches.augmentation import Augmentation
from alexnet.training.choices.recipe import FewPasses, LayerRate, Recipe, RecipeName

MODERN = Recipe(
    name="modern",
    epochs=40,
    batch_size=64,
    batch_follows=True,
    optimizer="muon",
    lr=0.02,
    warm_up=0.1,
    weight_decay=5e-3,
    label_smoothing=0.1,
    ema=0.04,
    sizes=((0.6, 4 / 7), (0.8, 5 / 7)),
    dropout=0.2,
    few_passes=FewPasses(below=20, dropout=0.0, area=(0.6, 1.0)),
    augmentation=Augmentation(crop="resized", area=(0.35, 1.0), aspect=4 / 3, flip=True),
)
"""The default, for small data sets and little time.

    alexnet train trashnet5 --time-limit 10m

Muon trains the convolutions, and SGD everything else, both at the same learning rate. docs/benchmarks.md has the scores
to expect, and docs/experiments.md what each number is worth.
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
"""Section 5 of the paper, with the augmentation of section 4.1: random crops of 224 out of 256 pixels, half of them
mirrored, and colours shifted along their principal components.

    alexnet train imagenet --recipe paper

Departure: the paper divides the learning rate by hand when the error on ``val`` stops falling, three times in about 90
epochs. Here it is divided after each quarter of training, so that a run depends on its settings alone.

Departure: images are squashed to a square (``--resize crop`` crops them as in section 2), and normalised by ImageNet's
mean and standard deviation instead of subtracting the mean image. ``val`` is evaluated on whole images.

Departure: torch multiplies the momentum by the learning rate at each step. In the paper the momentum contains the
learning rate, so a division acts on it later. Weight decay applies to all parameters: section 5 names no exception.

The paper's result belongs to its own network, which has grouped convolutions and local response normalisation. On the
default network, this recipe only trains in the paper's way.

Section 5 reports five to six days for about 90 passes over 1.2 million images on two GTX 580, and section 6 an error
of 40.7% (top-1, one network, ILSVRC-2012 ``val``, ten views). The recipe has not been run to its end here yet.
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
"""The from-scratch PyTorch article named in the reference document: CIFAR-10 upscaled to 227 pixels, no augmentation.

    alexnet train cifar10 --recipe article

It splits off 10% for validation, as we do by default. Its images are upscaled to the size of ``batchnorm``, so
``--variant auto`` is ``batchnorm``. 20 epochs of 45,000 images at 227 px need a GPU. The recipe has not been run to its
end here yet, so there is no score to expect.

Departure: pixels are normalised by ImageNet's mean and standard deviation, not by CIFAR's. The 6x6 map of 227 px is
pooled to the reference network's 5x5; the article's network reads 6x6.
"""

ORIGINAL = Recipe(
    name="original",
    epochs=91,
    batch_size=128,
    lr=0.01,
    schedule="steps",
    milestones=(25 / 91, 51 / 91, 79 / 91),
    bias_lr=0.02,
    layer_rates=(
        LayerRate(layer="conv1", of="weights", since=67 / 91, share=0.1),
        LayerRate(layer="conv1", of="weights", since=72 / 91, share=0.0),
        LayerRate(layer="conv1", of="biases", since=72 / 91, share=0.0),
    ),
    momentum=0.9,
    nesterov=False,
    lr_inside_momentum=True,
    weight_decay=5e-4,
    initialisation="original",
    mean_image=True,
    augmentation=Augmentation(crop="paper", flip=True, n_alike=32, colour_shift=0.1, colour_rule="program"),
    colour_shift_until=67 / 91,
)
"""The program that won in 2012, as it trained its network number 145. docs/original.md compares it with the paper.

    alexnet train imagenet --variant original --recipe original

Its author divided the rates by hand, after 25, 51 and 79 of 91 epochs; here they are shares of training, so that they
hold for any number of epochs. Rates for biases stay at 0.02; those of conv1 end before the others'.

The mean of the training images is subtracted at each position, from pixels of 0 to 255: of each crop, whatever its
place, the mean of the centre. Whatever the network, it then holds the mean image beside its weights.

Departure: ``val`` is evaluated on whole images, not on their centres or on ten views (``alexnet evaluate --views 10``).
Images are squashed to a square; ``--resize crop`` crops them, as the program did.

Departure: the principal components are those of a sample of the training images.

The recipe has not been run to its end on ImageNet here, so there is no score to expect but the program's own: errors of
40.7% (top-1) and 18.2% (top-5) on ILSVRC-2012 ``val``, ten views.

Source: computerhistory/AlexNet-Source-Code, layer-params-145.cfg, convdata_jpeg.py and src/weights.cu.
"""

RECIPES: dict[RecipeName, Recipe] = {"modern": MODERN, "paper": PAPER, "article": ARTICLE, "original": ORIGINAL}
