import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.data.augmentation import Augmentation
from alexnet.data.batches import Examples, count_steps, evaluation_batches, examples, training_batches
from alexnet.data.preprocessing import resized, to_channels
from alexnet.data.sources import open_source
from alexnet.data.split import split
from alexnet.data.store import prepare
from alexnet.data.tensors import normalise, to_tensor

MILD = Augmentation(area=(0.5, 1.0), aspect=4 / 3, flip=True)


@pytest.fixture(scope="module")
def data() -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    return Examples(pixels, np.arange(10), np.arange(10))


def batches_of(data, **changes):
    how = {"batch_size": 4, "size": 24, "augmentation": MILD, "seed": 1, "epoch": 0, **changes}
    return [(batch.pictures, batch.labels) for batch in training_batches(data, **how)]


def test_every_picture_once_an_epoch(data) -> None:
    batches = batches_of(data)
    assert [tuple(pictures.shape) for pictures, _ in batches] == [(4, 3, 24, 24), (4, 3, 24, 24), (2, 3, 24, 24)]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(10))
    assert batches[0][0].dtype == torch.uint8
    assert batches[0][0].is_contiguous(memory_format=torch.channels_last)


def test_batches_follow_from_seed_epoch_and_step(data) -> None:
    whole, again, resumed = batches_of(data), batches_of(data), batches_of(data, start=1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(whole, again, strict=True))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(whole[1:], resumed, strict=True))
    assert not torch.equal(whole[0][0], batches_of(data, epoch=1)[0][0])
    assert not torch.equal(whole[0][0], batches_of(data, seed=2)[0][0])


def test_a_last_batch_of_one_is_left_out() -> None:
    assert [count_steps(n, 4) for n in (1, 4, 5, 6, 8)] == [1, 1, 1, 2, 2]


def test_a_whole_crop_without_a_flip_is_the_picture(data) -> None:
    whole = Augmentation(area=(1.0, 1.0), aspect=1.0, flip=False)
    for pictures, labels in batches_of(data, size=32, augmentation=whole):
        assert np.array_equal(pictures.permute(0, 2, 3, 1).numpy(), data.pixels[labels.numpy()])


def test_half_of_the_pictures_are_mirrored() -> None:
    pixels = np.zeros((400, 8, 8, 3), dtype=np.uint8)
    pixels[:, :, :4] = 200
    data = Examples(pixels, np.arange(400), np.arange(400))
    how = Augmentation(area=(1.0, 1.0), aspect=1.0, flip=True)
    ((pictures, _),) = batches_of(data, batch_size=400, size=8, augmentation=how)
    n_mirrored = int((pictures[:, 0, 0, 0] == 0).sum())
    assert 150 < n_mirrored < 250


def test_evaluation_shows_every_picture_once_in_order(data) -> None:
    shown = np.concatenate(list(evaluation_batches(data, batch_size=3, size=16)))
    expected = np.stack([resized(pixels, 16, 16) for pixels in data.pixels])
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_luminance_for_networks_of_one_channel(data) -> None:
    grey = replace(data, n_channels=1)
    colour_batches, grey_batches = batches_of(data), batches_of(grey)
    for (colour, _), (luminance, _) in zip(colour_batches, grey_batches, strict=True):
        assert luminance.shape[1] == 1
        assert np.array_equal(luminance.permute(0, 2, 3, 1), to_channels(colour.permute(0, 2, 3, 1).numpy(), 1))
    assert next(evaluation_batches(grey, batch_size=4, size=16)).shape == (4, 16, 16, 1)


def test_the_papers_crops_are_windows_of_seven_eighths() -> None:
    """Section 4.1: 224 of 256 pixels, not resized."""
    side = 64
    ramp = np.arange(side, dtype=np.uint8)
    pixels = np.zeros((50, side, side, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = ramp[:, None], ramp[None, :]
    data = Examples(pixels, np.arange(50), np.arange(50))
    how = Augmentation(crop="paper", flip=False)
    ((pictures, _),) = batches_of(data, batch_size=50, size=56, augmentation=how)
    corners = pictures[:, :2, 0, 0]
    assert torch.equal(pictures[:, :2, -1, -1], corners + 55)
    assert corners.min() == 0
    assert corners.max() == 8


def test_memory_is_let_go_of_after_each_batch(data) -> None:
    calls = []
    batches_of(replace(data, forget=lambda: calls.append(1)))
    assert len(calls) == 3


def test_leaving_early_ends_the_thread(data) -> None:
    batches = training_batches(data, batch_size=2, size=24, augmentation=MILD, seed=0, epoch=0)
    next(batches)
    batches.close()
    assert not any(thread.name == "alexnet-batches" for thread in threading.enumerate())


def test_an_error_in_the_thread_reaches_the_caller(data) -> None:
    broken = Examples(data.pixels, np.array([99]), np.array([0]))
    with pytest.raises(IndexError):
        batches_of(broken)


def test_normalised_pictures_are_centred() -> None:
    pictures = to_tensor(np.full((1, 2, 2, 3), 124, dtype=np.uint8))
    assert torch.allclose(normalise(pictures)[0, 0], torch.tensor((124 / 255 - 0.485) / 0.229), atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert normalise(pictures).dtype == torch.bfloat16


def test_labels_go_by_name(photos) -> None:
    source = open_source(photos)
    store = prepare(source)
    source = split(source, store, seed=0)
    chosen = examples(store, source, "test", ("red", "green", "blue"))
    assert np.bincount(chosen.labels).tolist() == [4, 4, 4]
    first = next(picture for picture in source.in_split("test"))
    assert first.label == "blue"
    assert chosen.labels[0] == 2
