"""What happens to a batch of training images on the device, as an ``Augmentation`` says.

All randomness belongs to an image's place in its whole batch, so processes that share a batch see together what one
process alone would have seen.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import Batch
from alexnet.data.batches.crops import crop_on_device
from alexnet.data.batches.examples import Integers
from alexnet.images.tensors import normalise


def augment_batch(
    batch: Batch,
    how: Augmentation,
    *,
    seed: int,
    n_classes: int,
    colours: Tensor | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Do on the device all that is done to a batch after it was taken out of the store, or cropped.

    Args:
        batch: the images.
        how: what to do.
        seed: what all of it follows from.
        n_classes: how many classes there are.
        colours: what ``principal_colours`` returned; needed for ``colour_shift``.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].

    Returns:
        Normalised images ``(N, C, size, size)``, and class numbers ``(N,)`` or, after mixing, probabilities
        ``(N, n_classes)``.
    """
    images = batch.images
    if batch.windows is not None:
        images = crop_on_device(images, batch.windows, batch.size)
    if how.turn:
        images = _each(images, batch.rows, seed + 1, _turned)
    if how.trivial_augment:
        from torchvision.transforms import v2

        images = _each(images, batch.rows, seed + 2, v2.TrivialAugmentWide())
    normal = normalise(images, mean, std)
    if how.colour_shift:
        assert colours is not None
        torch.manual_seed(seed)
        normal = normal + _colour_shift(batch.n_all, how.colour_shift, colours, std)[batch.rows].to(normal)
    if how.erasing:
        from torchvision.transforms import v2

        normal = _each(normal, batch.rows, seed + 3, v2.RandomErasing(how.erasing, value=0))  # the mean colour
    torch.manual_seed(seed + 4)
    mixed, targets = _mix(normal, batch.labels, how, n_classes, batch.n_all)
    return mixed[batch.n_extra :], targets[batch.n_extra :]


def _each(images: Tensor, rows: Integers, seed: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change images one at a time: a batch at once would all be changed alike, and as others of it are."""
    changed = []
    # Not in the network's bfloat16: turning an image would put a tenth of its pixels one column off.
    with torch.autocast(images.device.type, enabled=False):
        for row, image in zip(rows, images, strict=True):
            # Seeds of neighbouring streams must not meet: they are fewer than this number.
            torch.manual_seed(seed + (int(row) + 1) * 1_000_003)
            changed.append(change(image))
    return torch.stack(changed).contiguous(memory_format=torch.channels_last) if changed else images


def _turned(image: Tensor) -> Tensor:
    quarters = int(torch.randint(4, ()))
    return image.rot90(quarters, (1, 2))


def _colour_shift(n: int, spread: float, colours: Tensor, std: tuple[float, ...]) -> Tensor:
    shifts = torch.randn(n, 3) * spread @ colours.T
    if len(std) == 1:  # luminance weighs the channels
        shifts = shifts @ torch.tensor((0.299, 0.587, 0.114))[:, None]
    return (shifts / torch.tensor(std)).view(n, -1, 1, 1)


def _mix(images: Tensor, labels: Tensor, how: Augmentation, n_classes: int, n_all: int) -> tuple[Tensor, Tensor]:
    ways = [name for name in ("mixup", "cutmix") if getattr(how, name)]
    if not ways or n_all < 2 or not len(images):
        return images, labels
    from torchvision.transforms import v2

    way = ways[int(torch.randint(len(ways), ()))]
    mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[way](alpha=getattr(how, way), num_classes=n_classes)
    # Each image is mixed with the one before it.
    mixed, targets = mix(images, labels)
    return mixed.contiguous(memory_format=torch.channels_last), targets
