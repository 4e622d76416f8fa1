"""Monitoring of training: warnings, early stopping and the best epoch."""

import math
from collections.abc import Sequence

from alexnet.errors import shown
from alexnet.training.learning.reports import EpochReport

# The loss of guessing is ln(number of classes). If it is not below 98% of that after this many epochs, the network
# does not learn (pytorch/vision #1998). Earlier, the learning rate may still be warming up.
STUCK_SHARE, STUCK_EPOCHS = 0.98, 5
# The loss on val has risen if it is this much above its minimum in all of the last epochs.
RISEN_SHARE, RISEN_EPOCHS = 1.15, 5
# With fewer images in a class, a network this large overfits.
FEW_IMAGES = 20


def epoch_warnings(history: Sequence[EpochReport], n_classes: int) -> list[str]:
    """Return the warnings after the last epoch; each warning is given once per run."""
    return [text for check in (_stuck, _risen) if (text := check(history, n_classes)) is not None]


def _stuck(history: Sequence[EpochReport], n_classes: int) -> str | None:
    chance = math.log(n_classes)
    if len(history) != STUCK_EPOCHS or any(
        min(report.train_loss, report.val_loss) < STUCK_SHARE * chance for report in history
    ):
        return None
    last = history[-1]
    return (
        f"after {last.epoch} epochs the loss is still {last.train_loss:.2f}, that of guessing among {n_classes} "
        f"classes (ln {n_classes} = {chance:.2f}): the network is not learning; use a learning rate ten times "
        f"lower than {max(report.lr for report in history):g} (--lr; --find-lr measures one), and check the labels"
    )


def _risen(history: Sequence[EpochReport], n_classes: int) -> str | None:
    if not _has_risen(history) or any(_has_risen(history[:n]) for n in range(len(history))):
        return None
    best = min(history, key=lambda report: report.val_loss)
    return (
        f"the loss on val was {best.val_loss:.3f} after epoch {best.epoch} and has stayed above "
        f"{RISEN_SHARE * best.val_loss:.3f} for {RISEN_EPOCHS} epochs: the network overfits; "
        "augment more (--mixup 0.2, --trivial-augment on), add images, or stop early (--patience)"
    )


def _has_risen(history: Sequence[EpochReport]) -> bool:
    if len(history) <= RISEN_EPOCHS:
        return False
    best = min(report.val_loss for report in history)
    return all(report.val_loss > RISEN_SHARE * best for report in history[-RISEN_EPOCHS:])


def passes(history: Sequence[EpochReport], n_train: int) -> float:
    """Return how often the training images were seen on average; an incomplete last epoch counts as a fraction."""
    return sum(report.n_images for report in history) / n_train


def time_limit_warning(history: Sequence[EpochReport], n_train: int) -> str | None:
    """Return a warning if the time limit ended training before each image was seen once."""
    n_seen = sum(report.n_images for report in history)
    # A full epoch leaves out a last batch of one image.
    if n_seen >= n_train - 1:
        return None
    return (
        f"the time limit ended training after {n_seen} of {n_train} images: this network has hardly learned anything; "
        "use a longer --time-limit; prepared images are cached, so the next start is faster"
    )


def best_epoch(history: Sequence[EpochReport], size: int) -> EpochReport | None:
    """Return the epoch with the lowest loss on ``val`` at the final size; losses at other sizes do not compare.

    Args:
        history: the epochs done.
        size: final image size in pixels.
    """
    at_size = [report for report in history if report.image_size == size]
    return min(at_size, key=lambda report: report.val_loss, default=None)


def should_stop_early(history: Sequence[EpochReport], size: int, patience: int | None) -> bool:
    """Return whether ``patience`` epochs have passed since the best one."""
    best = best_epoch(history, size)
    return patience is not None and best is not None and history[-1].epoch - best.epoch >= patience


def few_images_warning(counts: Sequence[int], classes: Sequence[str]) -> str | None:
    """Return a warning if classes have too few training images.

    Args:
        counts: number of training images of each class.
        classes: the class names.
    """
    few = [(n, label) for n, label in zip(counts, classes, strict=True) if n < FEW_IMAGES]
    if not few:
        return None
    n, label = min(few)
    name = shown(label)
    if len(few) == 1:
        which = f"class {name} has {n} training image{'' if n == 1 else 's'}"
    else:
        which = f"{len(few)} classes have fewer than {FEW_IMAGES} training images (class {name} has {n})"
    return f"{which}: too few to train from scratch; add images, or start from pretrained weights (--init)"
