"""One way to train, as a frozen value."""

from dataclasses import dataclass
from typing import Literal

Sizes = tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        images: the set of images.
        variant: the network.
        width: share of its channels and hidden units.
        grow: share of the training at half the width; 0 to train at the full width throughout.
        whiten: whether half of conv1 starts as whitening filters of the images' patches.
        zero_last: whether the weights of fc8 start at zero.
        he_hidden: whether the weights of fc6 and fc7 start as drawn by He.
        seconds: modelled CPU seconds to train for.
        epochs: passes to train for; 0 for as many as fit into ``seconds``.
        sizes: image sizes in pixels, each with its share of the training.
        batch_size: images per step.
        optimizer: of the weights of the convolutions.
        rest: optimiser of the other parameters; of all without Muon.
        lr: learning rate of ``rest``.
        momentum: of SGD.
        weight_decay: of SGD or AdamW; not on norms and biases.
        hidden_lr: learning rate of fc6 and fc7, as a share of ``lr``.
        muon_lr: learning rate of Muon.
        muon_momentum: momentum of Muon.
        muon_decay: weight decay of Muon: each step multiplies the weights by ``1 - muon_lr * muon_decay``.
        muon_steps: Newton-Schulz steps.
        muon_scale: ``tall`` scales up updates of tall matrices; ``adam`` gives all updates the size of Adam's.
        muon_norm: whether the norms of Muon's weights are fixed, instead of weight decay.
        muon_hidden: whether Muon trains fc6 and fc7 too. Its arithmetic there does not count.
        muon_conv1: whether Muon trains conv1.
        warm_up: share of the training in which the learning rate rises.
        cosine: whether it falls as a cosine, not as a line.
        ema: share of the training so far that the averaged weights cover; 0 for the last weights.
        label_smoothing: in [0, 1].
        dropout: before fc6 and fc7, in [0, 1].
        area: smallest area of a crop, as a share of the image.
        aspect: largest aspect of a crop.
        paper_crops: whether crops have 7/8 of the side, as in the paper.
        flip: whether half of the images are mirrored.
        turn: whether half are mirrored along the diagonal, and half upside down.
        erasing: share of the images in which a square is erased.
        mixup: alpha of mixup.
    """

    images: Literal["trashnet5", "cifar10"] = "trashnet5"
    variant: Literal["batchnorm", "small"] = "batchnorm"
    width: float = 1.0
    grow: float = 0.0
    whiten: bool = False
    zero_last: bool = False
    he_hidden: bool = False
    seconds: float = 240.0
    epochs: float = 0.0
    sizes: Sizes = ((67, 0.7), (99, 0.3))
    batch_size: int = 64
    optimizer: Literal["muon", "sgd"] = "muon"
    rest: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-4
    hidden_lr: float = 1.0
    muon_lr: float = 0.02
    muon_momentum: float = 0.95
    muon_decay: float = 0.1
    muon_steps: int = 3
    muon_scale: Literal["tall", "adam"] = "tall"
    muon_norm: bool = False
    muon_hidden: bool = False
    muon_conv1: bool = True
    warm_up: float = 0.1
    cosine: bool = False
    ema: float = 0.04
    label_smoothing: float = 0.1
    dropout: float = 0.0
    area: float = 0.6
    aspect: float = 4 / 3
    paper_crops: bool = False
    flip: bool = True
    turn: bool = False
    erasing: float = 0.0
    mixup: float = 0.0
