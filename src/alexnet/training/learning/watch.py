"""Honesty while it runs: what the epochs so far say about how training goes, and whether it should go on."""

import math
from collections.abc import Sequence

from alexnet.errors import shown
from alexnet.training.learning.reports import EpochReport

# An untrained network guesses: its loss is ln(number of classes). One that has not come below 98% of that after this
# many epochs has not begun to learn (pytorch/vision #1998); before, the learning rate may still be warming up.
STUCK_SHARE, STUCK_EPOCHS = 0.98, 5
# The loss on val has risen when the last epochs are all this much above the best of them.
RISEN_SHARE, RISEN_EPOCHS = 1.15, 5
# Fewer images of a class than this, and a network this large learns them by heart.
FEW_IMAGES = 20


def warnings(history: Sequence[EpochReport], n_classes: int) -> list[str]:
    """Return what the last epoch gives reason to say, a line each; nothing that an epoch before it has said already."""
    return [text for speak in (_stuck, _risen) if (text := speak(history, n_classes)) is not None]


def _stuck(history: Sequence[EpochReport], n_classes: int) -> str | None:
    chance = math.log(n_classes)
    if len(history) != STUCK_EPOCHS or any(
        min(report.train_loss, report.val_loss) < STUCK_SHARE * chance for report in history
    ):
        return None
    last = history[-1]
    return (
        f"after {last.epoch} epochs the loss is still {last.train_loss:.2f}, that of guessing among {n_classes} "
        f"classes (ln {n_classes} = {chance:.2f}): nothing is being learned; try a learning rate ten times lower than "
        f"{max(report.lr for report in history):g} (--lr; --find-lr measures one), and look at the labels"
    )


def _risen(history: Sequence[EpochReport], n_classes: int) -> str | None:
    if not _has_risen(history) or any(_has_risen(history[:n]) for n in range(len(history))):
        return None
    best = min(history, key=lambda report: report.val_loss)
    return (
        f"the loss on val was {best.val_loss:.3f} after epoch {best.epoch} and has stayed above "
        f"{RISEN_SHARE * best.val_loss:.3f} for {RISEN_EPOCHS} epochs: the network learns the training images by "
        "heart; vary them more (--mixup 0.2, --trivial-augment on), add images, or stop at the best (--patience)"
    )


def _has_risen(history: Sequence[EpochReport]) -> bool:
    if len(history) <= RISEN_EPOCHS:
        return False
    best = min(report.val_loss for report in history)
    return all(report.val_loss > RISEN_SHARE * best for report in history[-RISEN_EPOCHS:])


def passes(history: Sequence[EpochReport], n_train: int) -> float:
    """Return how many times the training images were seen; an epoch that the clock cut short is a part of one."""
    return sum(report.n_images for report in history) / n_train


def too_short(history: Sequence[EpochReport], n_train: int) -> str | None:
    """Return what to say of a training that the clock ended before every image was seen once, if it did."""
    n_seen = sum(report.n_images for report in history)
    # A last batch of one image is left out of a whole epoch.
    if n_seen >= n_train - 1:
        return None
    return (
        f"the time limit ended training when {n_seen} of {n_train} images had been seen: this network has hardly "
        "learned anything; give more time (--time-limit); prepared images are kept, so the next start is quicker"
    )


def best_of(history: Sequence[EpochReport], size: int) -> EpochReport | None:
    """Return the epoch with the lowest loss on ``val`` among those at the size of use; others do not compare.

    Args:
        history: the epochs done.
        size: side of the images at the end of training, in pixels.
    """
    at_size = [report for report in history if report.image_size == size]
    return min(at_size, key=lambda report: report.val_loss, default=None)


def is_out_of_patience(history: Sequence[EpochReport], size: int, patience: int | None) -> bool:
    """Return whether ``patience`` epochs have passed since the best one."""
    best = best_of(history, size)
    return patience is not None and best is not None and history[-1].epoch - best.epoch >= patience


def few_images(counts: Sequence[int], classes: Sequence[str]) -> str | None:
    """Return what to say of training images that are too few for their classes, if they are.

    Args:
        counts: training images of each class.
        classes: their names.
    """
    few = [(n, label) for n, label in zip(counts, classes, strict=True) if n < FEW_IMAGES]
    if not few:
        return None
    n, label = min(few)
    name = shown(label)
    which = f"class {name} has" if len(few) == 1 else f"{len(few)} classes have fewer than {FEW_IMAGES}, {name}"
    images = "image" if n == 1 else "images"
    return (
        f"{which} {n} training {images}: too few to learn from scratch; add images, or start from a network that "
        "was trained on others (--init)"
    )
