import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import count_steps, order_of, training_batches
from alexnet.data.batches.crops import crop_on_device
from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import Examples, Shard, examples
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store.store import prepare
from alexnet.images.preprocessing import resize, to_channels
from alexnet.images.tensors import normalise, to_tensor

MILD = Augmentation(area=(0.5, 1.0), aspect=4 / 3, flip=True)


@pytest.fixture(scope="module")
def data() -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    return Examples(pixels, np.arange(10), np.arange(10))


def batches_of(data, **changes):
    how = {"batch_size": 4, "size": 24, "augmentation": MILD, "seed": 1, "epoch": 0, **changes}
    return [(batch.images, batch.labels) for batch in training_batches(data, **how)]


def test_every_image_once_an_epoch(data) -> None:
    batches = batches_of(data)
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 24, 24), (4, 3, 24, 24), (2, 3, 24, 24)]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(10))
    assert batches[0][0].dtype == torch.uint8
    assert batches[0][0].is_contiguous(memory_format=torch.channels_last)


def test_batches_depend_on_seed_epoch_and_step(data) -> None:
    whole, again, resumed = batches_of(data), batches_of(data), batches_of(data, start=1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(whole, again, strict=True))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(whole[1:], resumed, strict=True))
    assert not torch.equal(whole[0][0], batches_of(data, epoch=1)[0][0])
    assert not torch.equal(whole[0][0], batches_of(data, seed=2)[0][0])


def test_a_last_batch_of_one_is_dropped() -> None:
    assert [count_steps(n, 4) for n in (1, 4, 5, 6, 8)] == [1, 1, 1, 2, 2]


def test_a_whole_crop_without_a_flip_is_the_image(data) -> None:
    whole = Augmentation(area=(1.0, 1.0), aspect=1.0, flip=False)
    for images, labels in batches_of(data, size=32, augmentation=whole):
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), data.pixels[labels.numpy()])


def test_half_of_the_images_are_mirrored() -> None:
    pixels = np.zeros((400, 8, 8, 3), dtype=np.uint8)
    pixels[:, :, :4] = 200
    data = Examples(pixels, np.arange(400), np.arange(400))
    how = Augmentation(area=(1.0, 1.0), aspect=1.0, flip=True)
    ((images, _),) = batches_of(data, batch_size=400, size=8, augmentation=how)
    n_mirrored = int((images[:, 0, 0, 0] == 0).sum())
    assert 150 < n_mirrored < 250


def test_evaluation_shows_every_image_once_in_order(data) -> None:
    shown = np.concatenate(list(evaluation_batches(data, batch_size=3, size=16)))
    expected = np.stack([resize(pixels, 16, 16) for pixels in data.pixels])
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
    ((images, _),) = batches_of(data, batch_size=50, size=56, augmentation=how)
    corners = images[:, :2, 0, 0]
    assert torch.equal(images[:, :2, -1, -1], corners + 55)
    assert corners.min() == 0
    assert corners.max() == 8


def test_memory_is_released_after_each_batch(data) -> None:
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


def test_normalised_images_are_centred() -> None:
    images = to_tensor(np.full((1, 2, 2, 3), 124, dtype=np.uint8))
    assert torch.allclose(normalise(images)[0, 0], torch.tensor((124 / 255 - 0.485) / 0.229), atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert normalise(images).dtype == torch.bfloat16


def test_labels_are_matched_by_name(image_folder) -> None:
    source = open_source(image_folder)
    store = prepare(source)
    source = split(source, store, seed=0)
    chosen = examples(store, source, "test", ("red", "green", "blue"))
    assert np.bincount(chosen.labels).tolist() == [4, 4, 4]
    first = next(image for image in source.in_split("test"))
    assert first.label == "blue"
    assert chosen.labels[0] == 2


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40))
def test_parts_cover_everything_once_and_are_nearly_equal(n, world_size) -> None:
    parts = [Shard(rank, world_size).part(n) for rank in range(world_size)]
    assert [i for part in parts for i in part] == list(range(n))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_single_process_has_everything() -> None:
    assert Shard().part(7) == range(7)


def test_processes_evaluate_every_image_once_in_order(data) -> None:
    named = replace(data, names=tuple(f"{number}.png" for number in range(10)))
    parts = [named.part(Shard(rank, 3)) for rank in range(3)]
    assert [len(part) for part in parts] == [3, 3, 4]
    assert [name for part in parts for name in part.names] == list(named.names)
    assert np.concatenate([part.labels for part in parts]).tolist() == list(range(10))
    together = [shown for part in parts for shown in evaluation_batches(part, batch_size=2, size=16)]
    (alone,) = evaluation_batches(named, batch_size=10, size=16)
    assert np.array_equal(np.concatenate(together), alone)


def test_a_part_has_its_own_images_wherever_the_whole_is_kept(data) -> None:
    part = data.on(torch.device("cpu")).part(Shard(1, 2))
    whole = Augmentation(crop="whole", flip=False)
    for batch in training_batches(part, batch_size=5, size=32, augmentation=whole, seed=0, epoch=0, on_device=True):
        expected = data.pixels[batch.labels.numpy()]
        assert sorted(batch.labels.tolist()) == [5, 6, 7, 8, 9]
        assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), expected)


@pytest.fixture(scope="module")
def uneven() -> Examples:
    """400 images of three classes: 10, 90 and 300."""
    labels = np.repeat([0, 1, 2], [10, 90, 300])
    return Examples(np.zeros((400, 2, 2, 3), dtype=np.uint8), np.arange(400), labels)


def test_a_balanced_order_shows_classes_about_equally_often(uneven) -> None:
    orders = [order_of(uneven, seed=0, epoch=epoch, balanced=True) for epoch in range(5)]
    shown = np.concatenate(orders)
    assert [len(order) for order in orders] == [400] * 5, "an epoch is as long as without"
    assert np.bincount(uneven.labels[shown]) / len(shown) == pytest.approx([1 / 3] * 3, abs=0.04)
    of_the_small_class = np.bincount(shown, minlength=400)[:10]
    assert of_the_small_class.min() > 0.5 * of_the_small_class.mean(), "all of its images, not a few"
    plain = np.bincount(uneven.labels[order_of(uneven, seed=0, epoch=0)])
    assert plain.tolist() == [10, 90, 300]


def test_a_balanced_order_follows_from_seed_and_epoch(uneven) -> None:
    order = order_of(uneven, seed=0, epoch=0, balanced=True)
    assert np.array_equal(order, order_of(uneven, seed=0, epoch=0, balanced=True))
    assert not np.array_equal(order, order_of(uneven, seed=1, epoch=0, balanced=True))
    assert not np.array_equal(order, order_of(uneven, seed=0, epoch=1, balanced=True))


def test_balanced_batches_are_those_of_the_balanced_order(uneven) -> None:
    labels = torch.cat([labels for _, labels in batches_of(uneven, batch_size=100, size=2, balanced=True)])
    assert np.array_equal(labels.numpy(), uneven.labels[order_of(uneven, seed=1, epoch=0, balanced=True)])


@pytest.mark.parametrize("n_channels", [3, 1])
@pytest.mark.parametrize("shard", [Shard(), Shard(1, 2)])
def test_images_kept_on_the_device_make_the_same_batches(data, n_channels, shard) -> None:
    some = replace(data, rows=data.rows[::-1][:7], labels=data.labels[::-1][:7], n_channels=n_channels)
    kept = some.on(torch.device("cpu"))
    how = {"batch_size": 3, "size": 24, "augmentation": replace(MILD, mixup=1.0), "seed": 1, "epoch": 2}
    moved, resident = (list(training_batches(each, **how, shard=shard, on_device=True)) for each in (some, kept))
    assert len(moved) == len(resident) == 2, "7 images are two batches of 3; the last one is dropped"
    for a, b in zip(moved, resident, strict=True):
        assert a.images.shape[1:] == (n_channels, 32, 32)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)
        assert torch.equal(crop_on_device(a.images, a.windows, 24), crop_on_device(b.images, b.windows, 24))


@pytest.mark.parametrize("n_channels", [3, 1])
def test_cropped_on_the_device_or_not_they_are_the_same_images(data, n_channels) -> None:
    some = replace(data, n_channels=n_channels)
    how = {"batch_size": 4, "size": 24, "augmentation": MILD, "seed": 1, "epoch": 0}
    for here, there in zip(training_batches(some, **how), training_batches(some, **how, on_device=True), strict=True):
        assert torch.equal(here.labels, there.labels)
        # With one channel, the luminance is rounded before cropping on the device, and after it on the CPU.
        levels = 1 if n_channels == 3 else 2
        assert (here.images.int() - crop_on_device(there.images, there.windows, 24).int()).abs().max() <= levels


def test_memory_is_released_where_whole_images_are_copied_too(data) -> None:
    calls = []
    batches_of(replace(data, forget=lambda: calls.append(1)), on_device=True)
    assert len(calls) == 3


def test_size_of_images_in_bytes(data) -> None:
    assert data.n_bytes == data.on(torch.device("cpu")).resident.numel() == 10 * 3 * 32 * 32
    assert replace(data, n_channels=1).n_bytes == 10 * 32 * 32
