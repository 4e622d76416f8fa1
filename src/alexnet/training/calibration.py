"""Fit the temperatures of a trained network on ``val``, for probabilities that can be believed."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples
from alexnet.evaluation.scores.calibration import fit_temperature
from alexnet.evaluation.views import N_VIEWS, average_of_views
from alexnet.images.decoding import Pixels
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.probability import Floats
from alexnet.model.artifact import Calibration
from alexnet.network.module.model import without_weights
from alexnet.network.value.architecture import Architecture
from alexnet.training.learning.state import Training
from alexnet.training.plan import Plan

# Of fewer images, how often the network is right says little about how sure it should be.
LEAST_IMAGES = 10
# One number needs few images.
MOST_IMAGES, MOST_IMAGES_IN_TEN_VIEWS = 2000, 128
BATCH_SIZE = 64
# What predicting an image takes of training with it: a third, as there is no way back, and some more.
SHARE_OF_TRAINING = 0.4


def seconds_needed(plan: Plan, n_val: int) -> float:
    """Return how long ``calibrate`` is going to take, by the speed of training; 0 if it has not been measured."""
    if not plan.timing.seconds:
        return 0.0
    n = min(n_val, MOST_IMAGES) + N_VIEWS * min(n_val, MOST_IMAGES_IN_TEN_VIEWS)
    return n * SHARE_OF_TRAINING * plan.seconds_per_image(plan.architecture.image_size)


def calibrate(
    training: Training, net: Architecture, weights: dict[str, Tensor], unseen: npt.NDArray[np.bool_]
) -> Calibration:
    """Return the temperatures with which a trained network has the lowest loss on ``val``.

    Args:
        training: the finished training.
        net: the network.
        weights: its weights, as they are saved.
        unseen: whether each image of ``val`` is one that its initial weights were not trained on, ``(N,)``: of others
            it is too sure.
    """
    val = training.val.take(np.flatnonzero(unseen))
    if len(val) < LEAST_IMAGES:
        return Calibration()
    model = without_weights(net)
    model.load_state_dict(weights, assign=True)
    model.to(training.runtime.device).eval()

    def logits(pixels: Pixels) -> Floats:
        images = normalise(training.runtime.move(to_tensor(pixels)), training.mean, training.std)
        return np.asarray(model(images).float().cpu().numpy())

    def averaged(pixels: Pixels) -> Floats:
        return average_of_views(logits, pixels, net.image_size)

    one, ten = val.sample(MOST_IMAGES), val.sample(MOST_IMAGES_IN_TEN_VIEWS)
    with torch.inference_mode(), training.runtime.threads(), training.runtime.autocast():
        return Calibration(
            _fit(logits, one, net.image_size),
            _fit(averaged, ten, int(ten.pixels.shape[1])),
        )


def _fit(logits: Callable[[Pixels], Floats], data: Examples, size: int) -> float:
    """Return the temperature of a function from images of ``size`` pixels to logits."""
    batches = evaluation_batches(data, batch_size=BATCH_SIZE, size=size)
    return fit_temperature(np.concatenate([logits(pixels) for pixels in batches]), data.labels)
