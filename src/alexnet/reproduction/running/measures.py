"""What is measured on a trained network beside its errors: views, kernels, neighbours; and how fast it trains."""

import base64
import io
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from alexnet.data.batches.augmentation import PAPER_SHARE
from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples, Integers
from alexnet.evaluation.scores.metrics import score
from alexnet.evaluation.views import average_of_views
from alexnet.explanation.kernels import Kernels
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import resize
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.probability import Floats, log_softmax, mean_log_probabilities
from alexnet.network.module.model import AlexNet
from alexnet.network.module.norms import LocalResponseNorm, MapResponseNorm
from alexnet.training.learning.loop import EVALUATION_BATCH, remaining_batches, train_step
from alexnet.training.learning.state import Training

Numbers = dict[str, float]
N_STEPS_TIMED = 5
N_QUERIES, N_NEIGHBOURS = 500, 5
N_SHUFFLES = 1000
N_NOISE = 20
# Images whose factors of response norms are measured; and below which input a factor is not.
N_SPREAD, SMALLEST_DIVISOR = 200, 1e-3


def logits_by(training: Training) -> Callable[[Pixels], Floats]:
    """Return the network as a function of images ``(N, size, size, C)`` uint8, in evaluation mode."""
    model, runtime = training.eval_model, training.runtime
    model.eval()

    def compute(pixels: Pixels) -> Floats:
        with torch.inference_mode(), runtime.autocast():
            images = normalise(runtime.move(to_tensor(pixels)), training.mean, training.std)
            logits: Floats = model(images).float().cpu().numpy()
        return logits

    return compute


def stored(data: Examples) -> Sequence[Pixels]:
    """Return images as they are stored, in batches ``(N, S, S, C)``."""
    return list(evaluation_batches(data, batch_size=EVALUATION_BATCH, size=data.pixels.shape[1]))


def centre_logits(training: Training, data: Examples) -> Floats:
    """Return the logits for the centre crops of images, ``(N, n_classes)``: 7/8 of the side, as in section 4.1."""
    size, compute = training.plan.architecture.image_size, logits_by(training)
    side = data.pixels.shape[1]
    crop = max(1, round(side * PAPER_SHARE))
    first = (side - crop) // 2
    inside = slice(first, first + crop)
    batches = (np.stack([resize(each[inside, inside], size, size) for each in batch]) for batch in stored(data))
    return np.concatenate([compute(batch) for batch in batches])


def views(trainings: Sequence[Training], test: Examples) -> Numbers:
    """Return errors of one view and of ten, of one network (the mean over all) and of all together."""
    size, classes = trainings[0].plan.architecture.image_size, trainings[0].classes
    one, ten = [], []
    for training in trainings:
        compute = logits_by(training)
        one.append(log_softmax(centre_logits(training, test)))
        ten.append(np.concatenate([average_of_views(compute, batch, size) for batch in stored(test)]))

    def error(log_probabilities: Floats) -> float:
        return 1 - score(log_probabilities, test.labels, classes).top1

    found = {"one_view_error": float(np.mean([*map(error, one)]))}
    found |= {"ten_views_error": float(np.mean([*map(error, ten)]))}
    if len(trainings) > 1:
        found |= {"ensemble_one_view_error": error(mean_log_probabilities(one))}
        found |= {"ensemble_error": error(mean_log_probabilities(ten))}
    return found


def norm_spread(training: Training, test: Examples) -> Numbers:
    """Return how much the factors of the response norms differ within an image set: their spread by their mean.

    It is that of the norm whose factors differ least. Near zero, that norm divides everything by the same. Without
    response norms there is no figure.
    """
    model, runtime = training.eval_model, training.runtime
    size = training.plan.architecture.image_size
    spreads: list[float] = []

    def hear(_: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        (maps,) = inputs
        factors = (output.float() / maps.float())[maps.abs() > SMALLEST_DIVISOR]
        spreads.append(float(factors.std() / factors.mean()))

    hooks = [
        module.register_forward_hook(hear)
        for module in model.modules()
        if isinstance(module, LocalResponseNorm | MapResponseNorm)
    ]
    if not hooks:
        return {}
    model.eval()
    (pixels, *_) = evaluation_batches(test.sample(N_SPREAD), batch_size=N_SPREAD, size=size)
    with torch.inference_mode():  # in half precision, factors would differ by rounding alone
        model(normalise(runtime.move(to_tensor(pixels)), training.mean, training.std))
    for hook in hooks:
        hook.remove()
    return {"norm_spread": min(spreads)}


def kernels(training: Training) -> Numbers:
    """Return measures of the kernels of conv1, trained and not: structure, colour, orientation; the columns' gap.

    ``orientation_by_chance`` is that of noise as smooth as the kernels are.
    """
    weights = _kernels_of(training.model)
    torch.manual_seed(training.seed)
    random = _kernels_of(AlexNet(training.plan.architecture))
    gap, by_chance = column_gap(colour_of(weights))
    return {
        "structure": Kernels(weights).structure,
        "structure_random": Kernels(random).structure,
        "colour": float(colour_of(weights).mean()),
        "colour_random": float(colour_of(random).mean()),
        "orientation": float(orientation_of(weights).mean()),
        "orientation_by_chance": float(orientation_of(noise_as_smooth(weights)).mean()),
        "colour_gap": gap,
        "colour_gap_by_chance": by_chance,
    }


def _kernels_of(model: nn.Module) -> Floats:
    return np.asarray(model.state_dict()["conv1.conv.weight"].float().cpu().numpy())


def colour_of(weights: Floats) -> Floats:
    """Return the share of each kernel's energy that is colour, ``(n,)`` in [0, 1]: 0 for grey, 2/3 for random weights.

    Args:
        weights: ``(n, C, k, k)``. What differs between channels at a position is colour; their mean is grey.
    """
    exact = weights.astype(np.float64)
    grey = exact.mean(axis=1, keepdims=True)
    energy = (exact**2).sum(axis=(1, 2, 3))
    part = ((exact - grey) ** 2).sum(axis=(1, 2, 3))
    return np.asarray(np.divide(part, energy, out=np.zeros(len(weights)), where=energy > 0))


def orientation_of(weights: Floats) -> Floats:
    """Return how far the edges in each kernel have one orientation, ``(n,)`` in [0, 1]: 1 for a grating.

    It is the length of the mean of ``exp(2i angle)`` over all spatial frequencies, weighted by their power; the mean
    over channels is taken first.
    """
    grey = weights.astype(np.float64).mean(axis=1)
    side = grey.shape[-1]
    # Finer than the kernel, so that frequencies lie at all angles.
    power = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True), s=(4 * side, 4 * side))) ** 2
    frequencies = np.fft.fftfreq(4 * side)
    angles = np.arctan2(frequencies[:, None], frequencies[None, :])
    vector = (power * np.exp(2j * angles)).sum(axis=(1, 2))
    total = power.sum(axis=(1, 2))
    return np.asarray(np.divide(np.abs(vector), total, out=np.zeros(len(weights)), where=total > 0))


def noise_as_smooth(weights: Floats) -> Floats:
    """Return random kernels with the mean power of some kernels at each spatial frequency, whatever its angle.

    Smoothness alone gives a small kernel some orientation; this is how much.

    Args:
        weights: ``(n, C, k, k)``. The result has a channel and ``N_NOISE`` times as many kernels.
    """
    grey = weights.astype(np.float64).mean(axis=1)
    side = grey.shape[-1]
    power = (np.abs(np.fft.fft2(grey)) ** 2).mean(axis=0)
    frequencies = np.fft.fftfreq(side)
    rings = np.rint(np.hypot(frequencies[:, None], frequencies[None, :]) * side).astype(int)
    by_ring = np.bincount(rings.ravel(), power.ravel()) / np.bincount(rings.ravel())
    noise = np.random.default_rng(0).normal(size=(N_NOISE * len(grey), side, side))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.sqrt(by_ring[rings]) / side).real
    return np.asarray(smooth[:, None])


def column_gap(values: Floats) -> tuple[float, float]:
    """Return how far the means of the two halves of some values lie apart, and how far those of random halves do."""
    half = len(values) // 2
    randomness = np.random.default_rng(0)
    shuffled = (randomness.permutation(values) for _ in range(N_SHUFFLES))
    gaps = [abs(each[:half].mean() - each[half:].mean()) for each in shuffled]
    return float(abs(values[:half].mean() - values[half:].mean())), float(np.mean(gaps))


def kernels_png(model: AlexNet) -> str:
    """Return the kernels of conv1 as a PNG in base64, a pixel a weight."""
    net = model.architecture
    tensors = {"conv1.conv.weight": _kernels_of(model)}
    page = io.BytesIO()
    Image.fromarray(Kernels.of(net, tensors).draw(cell=net.layers[0].kernel)).save(page, "PNG", optimize=True)
    return base64.b64encode(page.getvalue()).decode()


def neighbours(training: Training, test: Examples) -> Numbers:
    """Return the share of nearest training images that have a test image's class: by the last hidden layer, by pixels.

    ``neighbours_by_chance`` is the share among all training images.

    Source: section 6.1 and figure 4: the Euclidean distance between the outputs of the last hidden layer.
    """
    size = training.plan.architecture.image_size
    queries, train = test.sample(N_QUERIES), training.train
    known, asked = embeddings(training, train, size), embeddings(training, queries, size)
    labels = train.labels
    by_layer = _share_alike(asked, known, queries.labels, labels)
    by_pixels = _share_alike(_thumbnails(queries), _thumbnails(train), queries.labels, labels)
    counts = np.bincount(labels, minlength=len(training.classes)) / len(labels)
    return {
        "neighbours_same_class": by_layer,
        "neighbours_by_pixels": by_pixels,
        "neighbours_by_chance": float(counts[queries.labels].mean()),
    }


def embeddings(training: Training, data: Examples, size: int) -> Floats:
    """Return the outputs of the last hidden layer, ``(N, n_features)``."""
    model, runtime = training.eval_model, training.runtime
    assert isinstance(model, AlexNet)
    model.eval()
    found = []
    with torch.inference_mode(), runtime.autocast():
        for pixels in evaluation_batches(data, batch_size=EVALUATION_BATCH, size=size):
            images = normalise(runtime.move(to_tensor(pixels)), training.mean, training.std)
            found.append(model.embed(images).float().cpu().numpy())
    return np.concatenate(found)


def _thumbnails(data: Examples) -> Floats:
    batches = evaluation_batches(data, batch_size=EVALUATION_BATCH, size=min(32, data.pixels.shape[1]))
    return np.concatenate([batch.reshape(len(batch), -1).astype(np.float32) for batch in batches])


def _share_alike(asked: Floats, known: Floats, labels: Integers, known_labels: Integers) -> float:
    alike = []
    squares = (known**2).sum(axis=1)
    for one, label in zip(asked, labels, strict=True):
        distances = squares - 2 * known @ one  # less the same number for all
        nearest = np.argpartition(distances, N_NEIGHBOURS)[:N_NEIGHBOURS]
        alike.append((known_labels[nearest] == label).mean())
    return float(np.mean(alike))


def speed(training: Training) -> Numbers:
    """Return the images per second of a few training steps, the median of them; the first does not count."""
    planned = training.plan.next_epoch(0.0, 0)
    training.step.network.train()
    rates = []
    with training.runtime.threads():
        for batch in remaining_batches(training, planned):
            began = time.perf_counter()
            train_step(training, batch, 0.0).item()
            rates.append(len(batch.labels) / (time.perf_counter() - began))
            if len(rates) > N_STEPS_TIMED:
                break
    return {"images_per_second": float(np.median(rates[1:] or rates))}
