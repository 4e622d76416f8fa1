"""The mean image of the training images, put into a network before it is trained."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data.batches.augmentation import Crop
from alexnet.data.batches.crops import paper_side
from alexnet.data.batches.examples import Examples
from alexnet.images.preprocessing import to_channels
from alexnet.images.tensors import fitted
from alexnet.network.module.model import AlexNet
from alexnet.training.machine.distributed import Group

# Images of 256 px whose pixels are summed at a time: 25 MB.
CHUNK = 128


def set_mean_image(model: AlexNet, train: Examples, crop: Crop, group: Group) -> None:
    """Put the mean of the training images into ``model.mean_image``, in levels from 0 to 255.

    Each process sums a part of the images. The sums are whole numbers, so the mean is the same to the bit however many
    processes there are.
    """
    assert model.mean_image is not None
    sums = sum(group.all_gather(pixel_sums(train.part(group.shard))))
    assert isinstance(sums, np.ndarray)
    model.mean_image.copy_(mean_image(sums / len(train), crop, model.mean_image.shape[-1]))


def pixel_sums(data: Examples) -> npt.NDArray[np.int64]:
    """Return the sum of images at each position and channel, ``(S, S, C)``, in levels from 0 to 255."""
    side = data.pixels.shape[1]
    sums = np.zeros((side, side, data.n_channels), dtype=np.int64)
    for start in range(0, len(data), CHUNK):
        chunk = to_channels(data.pixels[data.rows[start : start + CHUNK]], data.n_channels)
        sums += chunk.sum(axis=0, dtype=np.uint32)
        data.forget()
    return sums


def mean_image(mean: npt.NDArray[np.float64], crop: Crop, size: int) -> Tensor:
    """Return the mean image ``(C, size, size)`` for the mean of stored images, ``(S, S, C)``.

    With the paper's crops it is the centre, of the size of a crop; else the whole image. The same is subtracted from
    each crop, wherever that comes from.

    Source: convdata_jpeg.py of computerhistory/AlexNet-Source-Code.
    """
    side = len(mean)
    inner = paper_side(side) if crop == "paper" else side
    border = (side - inner) // 2
    centre = mean[border : border + inner, border : border + inner]
    return fitted(torch.from_numpy(centre).permute(2, 0, 1).float(), size, size)[0]
