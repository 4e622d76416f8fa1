"""Augment a batch of training images on the device.

Random numbers depend on an image's position in the whole batch. So the processes that share a batch see the same
images, together, as one process alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import Batch
from alexnet.data.batches.crops import crop_on_device
from alexnet.data.batches.examples import Integers
from alexnet.images.pixels import LUMINANCE
from alexnet.images.tensors import fitted, normalise


def augment_batch(
    batch: Batch,
    how: Augmentation,
    *,
    seed: int,
    n_classes: int,
    colours: Tensor | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    mean_image: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Crop a batch on the device, if it is not cropped yet, augment it and normalise it.

    Args:
        batch: the images.
        how: the augmentation.
        seed: seeds all random numbers.
        n_classes: number of classes.
        colours: the result of ``principal_colours``; needed for ``colour_shift``.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].
        mean_image: what the network is going to subtract, ``(C, S, S)``, in the units of normalised images; None if
            nothing. Colours are divided, and rectangles erased, as if it were subtracted already.

    Returns:
        Normalised images ``(N, C, size, size)``, and class numbers ``(N,)`` or, after mixing, probabilities
        ``(N, n_classes)``.
    """
    images = batch.images
    if batch.windows is not None:
        images = crop_on_device(images, batch.windows, batch.size)
    if how.turn:
        images = _per_image(images, batch.rows, seed + 1, _rotate)
    if how.trivial_augment:
        from torchvision.transforms import v2

        images = _per_image(images, batch.rows, seed + 2, v2.TrivialAugmentWide())
    normal = normalise(images, mean, std)
    centre = None if mean_image is None else fitted(mean_image, *normal.shape[-2:])
    if centre is not None:
        normal = normal - centre  # in float32, also under autocast
    if how.colour_shift:
        assert colours is not None
        torch.manual_seed(seed)
        normal = normal + _colour_shift(batch.n_all, how.colour_shift, colours, std)[batch.rows].to(normal)
        if how.colour_rule == "program":
            normal = normal / (1 + how.colour_shift)
    if how.erasing:
        from torchvision.transforms import v2

        normal = _per_image(normal, batch.rows, seed + 3, v2.RandomErasing(how.erasing, value=0))  # the mean colour
    if centre is not None:
        normal = normal + centre
    torch.manual_seed(seed + 4)
    mixed, targets = _mix(normal, batch.labels, how, n_classes, batch.n_all)
    return mixed[batch.n_extra :], targets[batch.n_extra :]


def _per_image(images: Tensor, rows: Integers, seed: int, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Transform images one at a time: torchvision would draw one random transform for the whole batch."""
    results = []
    # Not in bfloat16: a rotation would put a tenth of the pixels one column off.
    with torch.autocast(images.device.type, enabled=False):
        for row, image in zip(rows, images, strict=True):
            # The factor keeps the seeds of neighbouring positions further apart than those of other streams.
            torch.manual_seed(seed + (int(row) + 1) * 1_000_003)
            results.append(transform(image))
    return torch.stack(results).contiguous(memory_format=torch.channels_last) if results else images


def _rotate(image: Tensor) -> Tensor:
    quarters = int(torch.randint(4, ()))
    return image.rot90(quarters, (1, 2))


def _colour_shift(n: int, scale: float, colours: Tensor, std: tuple[float, ...]) -> Tensor:
    shifts = torch.randn(n, 3) * scale @ colours.T
    if len(std) == 1:  # the luminance of the shift
        shifts = shifts @ torch.tensor(LUMINANCE)[:, None]
    return (shifts / torch.tensor(std)).view(n, -1, 1, 1)


def _mix(images: Tensor, labels: Tensor, how: Augmentation, n_classes: int, n_all: int) -> tuple[Tensor, Tensor]:
    names = [name for name in ("mixup", "cutmix") if getattr(how, name)]
    if not names or n_all < 2 or not len(images):
        return images, labels
    from torchvision.transforms import v2

    name = names[int(torch.randint(len(names), ()))]
    mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[name](alpha=getattr(how, name), num_classes=n_classes)
    # Each image is mixed with the one before it.
    mixed, targets = mix(images, labels)
    return mixed.contiguous(memory_format=torch.channels_last), targets
