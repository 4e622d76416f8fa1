from itertools import groupby

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet.data.batches.augment import augment_batch
from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import Batch, training_batches
from alexnet.data.batches.crops import Windows, crop_on_device, draw_windows
from alexnet.data.batches.examples import Examples, Shard, principal_colours
from alexnet.errors import SettingsError
from alexnet.images.preprocessing import GREY_MEAN, GREY_STD, MEAN, STD, mean_and_std
from alexnet.images.tensors import normalise


def batch(n: int = 8, channels: int = 3) -> torch.Tensor:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, channels, 32, 32), dtype=np.uint8))
    return images.contiguous(memory_format=torch.channels_last)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def augmented(how: Augmentation, images: torch.Tensor | None = None, seed: int = 0):
    images = batch() if images is None else images
    mean, std = (MEAN, STD) if images.shape[1] == 3 else (GREY_MEAN, GREY_STD)
    colours = principal_colours(batch().permute(0, 2, 3, 1).numpy())
    n = len(images)
    whole = Batch(images, LABELS[:n], np.arange(n), 0, n, None, 32)
    return augment_batch(whole, how, seed=seed, n_classes=3, colours=colours, mean=mean, std=std)


def test_without_augmentation_a_batch_is_only_normalised() -> None:
    images, targets = augmented(Augmentation())
    assert torch.equal(images, normalise(batch()))
    assert torch.equal(targets, LABELS)


EACH = [
    Augmentation(turn=True),
    Augmentation(colour_shift=0.1),
    Augmentation(trivial_augment=True),
    Augmentation(erasing=1.0),
    Augmentation(mixup=0.2),
    Augmentation(cutmix=1.0),
    Augmentation(mixup=0.2, cutmix=1.0, erasing=0.5, trivial_augment=True, colour_shift=0.1, turn=True),
]


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("how", EACH, ids=str)
def test_every_augmentation_changes_images_and_depends_on_the_seed(how, channels) -> None:
    images, targets = augmented(how, batch(channels=channels))
    again, same_targets = augmented(how, batch(channels=channels))
    other, _ = augmented(how, batch(channels=channels), seed=1)
    plain, _ = augmented(Augmentation(), batch(channels=channels))
    assert torch.equal(images, again)
    assert torch.equal(targets, same_targets)
    assert not torch.equal(images, other)
    assert images.shape == plain.shape
    assert images.dtype == plain.dtype
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(images, plain)
    assert torch.isfinite(images).all()


@pytest.mark.parametrize("how", EACH, ids=str)
def test_in_bfloat16_too(how) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        images, _ = augmented(how)
    assert images.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_images_have_mixed_labels(name) -> None:
    """yolov5 #11034: mixup and cutmix were accepted and did nothing."""
    _, targets = augmented(Augmentation(**{name: 1.0}))
    assert targets.shape == (8, 3)
    assert torch.allclose(targets.sum(dim=1), torch.ones(8))
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_a_batch_of_one_is_not_mixed() -> None:
    images, targets = augmented(Augmentation(mixup=1.0), batch(1))
    assert torch.equal(images, normalise(batch(1)))
    assert torch.equal(targets, LABELS[:1])


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_each_image_is_mixed_with_the_one_before_it(name) -> None:
    """In the shares of its label."""
    flat = torch.arange(0, 240, 30, dtype=torch.uint8)[:, None, None, None].expand(8, 3, 32, 32).contiguous()
    mixed, _ = augmented(Augmentation(**{name: 1.0}), flat)
    plain, _ = augmented(Augmentation(), flat)
    own, before = (each.mean(dim=(1, 2, 3)) for each in (plain, plain.roll(1, 0)))
    share = (mixed.mean(dim=(1, 2, 3)) - before) / (own - before)
    assert torch.allclose(share, share[0].expand(8), atol=1e-3)
    assert 0.02 < share[0] < 0.98
    _, targets = augmented(Augmentation(**{name: 1.0}), flat)
    expected = share[0] * F.one_hot(LABELS, 3) + (1 - share[0]) * F.one_hot(LABELS.roll(1), 3)
    assert torch.allclose(targets, expected, atol=1e-3)


def test_colours_shift_along_their_principal_components() -> None:
    """Section 4.1: multiples of the components: the eigenvalues times a Gaussian of standard deviation 0.1."""
    rng = np.random.default_rng(0)
    # Pixels that vary along one line through the colours: red and green together, blue hardly.
    along = rng.normal(0, 40, (20, 16, 16, 1))
    pixels = (128 + along * (0.7, 0.7, 0.0) + rng.normal(0, 1, (20, 16, 16, 3))).clip(0, 255).astype(np.uint8)
    colours = principal_colours(pixels)
    largest = colours[:, -1]
    assert abs(largest[0] / largest[1]) == pytest.approx(1, abs=0.05)
    assert abs(largest[2]) < 0.05 * abs(largest[0])
    assert float(largest.norm()) == pytest.approx(np.cov((pixels[..., 0] / 255).ravel()) * 2, rel=0.15)

    how = Augmentation(colour_shift=0.1)
    whole = Batch(batch(), LABELS, np.arange(8), 0, 8, None, 32)
    images, _ = augment_batch(whole, how, seed=0, n_classes=3, colours=colours, mean=MEAN, std=STD)
    shift = ((images - normalise(batch())) * torch.tensor(STD).view(1, 3, 1, 1)).mean(dim=(2, 3))
    assert torch.allclose(shift[:, 0], shift[:, 1], atol=1e-3)
    assert shift[:, 2].abs().max() < 1e-3


def test_the_program_shifts_colours_by_standard_deviations_and_divides_everything() -> None:
    """convdata_jpeg.py of 2012: components times their standard deviations; then a division by 1.1."""
    pixels = batch().permute(0, 2, 3, 1).numpy()
    by_eigenvalue, by_deviation = principal_colours(pixels).double(), principal_colours(pixels, "program").double()
    values = torch.from_numpy(pixels[:, ::4, ::4].reshape(-1, 3) / 255.0)
    assert torch.allclose(by_deviation @ by_deviation.T, torch.from_numpy(np.cov(values.T.numpy())), atol=1e-6)
    assert torch.allclose(by_eigenvalue.norm(dim=0), by_deviation.norm(dim=0) ** 2, atol=1e-6)

    mean, std = mean_and_std(3, mean_image=True)
    mean_image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    whole = Batch(batch(), LABELS, np.arange(8), 0, 8, None, 32)

    def images(**how) -> torch.Tensor:
        colours = by_deviation.float()
        how = Augmentation(**how)
        found, _ = augment_batch(
            whole, how, seed=5, n_classes=3, colours=colours, mean=mean, std=std, mean_image=mean_image
        )
        return found.double()

    torch.manual_seed(5)
    shift = 255 * (torch.randn(8, 3).double() * 0.1) @ by_deviation.T
    expected = mean_image + (batch().double() + shift[:, :, None, None] - mean_image) / 1.1
    assert torch.allclose(images(colour_shift=0.1, colour_rule="program"), expected, atol=1e-4)
    shifted = batch().double() + shift[:, :, None, None]
    assert torch.allclose(images(colour_shift=0.1), shifted, atol=1e-4), "the paper divides nothing"
    assert torch.allclose(images(colour_rule="program"), batch().double(), atol=1e-4), "off, nothing is divided"


def test_of_grey_images_the_components_without_colour_are_zero() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), dtype=np.uint8).repeat(3, axis=3)
    colours = principal_colours(grey, "program")
    assert colours[:, :2].abs().max() < 1e-6
    assert torch.allclose(colours[:, 2].abs(), torch.full((3,), float(grey[:, ::4, ::4].std() / 255)), rtol=0.01)


def test_what_is_erased_has_the_mean_image() -> None:
    mean, std = mean_and_std(3, mean_image=True)
    mean_image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    whole = Batch(batch(), LABELS, np.arange(8), 0, 8, None, 32)
    images, _ = augment_batch(
        whole, Augmentation(erasing=1.0), seed=0, n_classes=3, colours=None, mean=mean, std=std, mean_image=mean_image
    )
    erased = (images - batch()).abs().amax(dim=1) > 1e-3
    assert 0.01 < erased.float().mean() < 0.5
    difference = (images - mean_image).abs().amax(dim=1)
    assert difference[erased].max() < 1e-3


def test_a_mean_image_of_another_size_is_resized() -> None:
    mean, std = mean_and_std(3, mean_image=True)
    whole = Batch(batch(), LABELS, np.arange(8), 0, 8, None, 32)
    flat = torch.full((3, 50, 50), 100.0)
    how = Augmentation(colour_shift=1e-9, colour_rule="program", erasing=1.0)
    images, _ = augment_batch(
        whole, how, seed=0, n_classes=3, colours=torch.zeros(3, 3), mean=mean, std=std, mean_image=flat
    )
    erased = (images - batch()).abs().amax(dim=1) > 1e-3
    assert torch.allclose(images.permute(0, 2, 3, 1)[erased], torch.tensor(100.0), atol=1e-3)


@pytest.mark.parametrize("crop", ["paper", "resized", "whole"])
@pytest.mark.parametrize("n", [128, 70, 5])
def test_images_in_a_row_are_cropped_and_mirrored_alike(crop, n) -> None:
    windows = draw_windows(n, 256, Augmentation(crop=crop, n_alike=32), np.random.default_rng(0))
    drawn = list(zip(windows.tops, windows.lefts, windows.heights, windows.widths, windows.mirrored, strict=True))
    starts = drawn[::32]
    assert all(drawn[i] == starts[i // 32] for i in range(n))
    if crop != "whole":
        assert len(set(starts)) == len(starts), "each 32 have a window of their own"
    if crop == "paper":
        assert set(windows.heights) == {224}


@pytest.mark.parametrize("bad", [{"n_alike": 0}, {"colour_rule": "papre"}])
def test_a_field_out_of_range_is_named(bad) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Augmentation(**bad)


def test_trivial_augment_transforms_each_image_by_itself() -> None:
    same = batch(1).repeat(8, 1, 1, 1)
    images, _ = augmented(Augmentation(trivial_augment=True), same)
    assert len({tuple(image.flatten().tolist()) for image in images}) > 3


@pytest.mark.parametrize("aspect", [1.0, 4 / 3, 2.0])
def test_windows_are_inside_the_image_and_have_the_area_of_the_setting(aspect) -> None:
    how = Augmentation(area=(0.2, 0.5), aspect=aspect)
    windows = draw_windows(2000, 100, how, np.random.default_rng(0))
    assert (windows.tops >= 0).all()
    assert (windows.lefts >= 0).all()
    assert (windows.tops + windows.heights <= 100).all()
    assert (windows.lefts + windows.widths <= 100).all()
    area = windows.heights * windows.widths / 100**2
    assert 0.19 < area.min() < 0.25
    assert 0.45 < area.max() < 0.52
    assert (windows.widths / windows.heights).max() == pytest.approx(aspect, rel=0.05)


def test_a_whole_crop_is_the_whole_image() -> None:
    windows = draw_windows(50, 30, Augmentation(crop="whole", flip=False), np.random.default_rng(0))
    assert {*windows.tops, *windows.lefts} == {0}
    assert {*windows.heights, *windows.widths} == {30}
    assert not windows.mirrored.any()
    flipped = draw_windows(50, 30, Augmentation(crop="whole", flip=True), np.random.default_rng(0))
    assert 10 < flipped.mirrored.sum() < 40


def cropped_by_torch(image: torch.Tensor, windows: Windows, i: int, size: int) -> torch.Tensor:
    """Return the window of one image, cropped, resized and flipped by torch itself."""
    top, left, height, width = (each[i] for each in (windows.tops, windows.lefts, windows.heights, windows.widths))
    window = image[None, :, top : top + height, left : left + width]
    small = F.interpolate(window, (size, size), mode="bilinear", antialias=True)[0]
    return small.flip(-1) if windows.mirrored[i] else small


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize(("side", "size"), [(48, 20), (20, 48), (40, 40), (37, 1), (256, 224)])
def test_cropping_by_matrix_products_is_cropping_and_resizing(side, size, channels) -> None:
    """The crops for a GPU equal those of a CPU to one level of 255, and exact ones to the rounding."""
    rng = np.random.default_rng(side)
    n = 24 if side < 100 else 6
    images = torch.from_numpy(rng.integers(0, 256, (n, channels, side, side), dtype=np.uint8))
    windows = draw_windows(n, side, Augmentation(area=(0.002, 1.0), aspect=3.0), rng)
    assert 0 < windows.mirrored.sum() < n
    found = crop_on_device(images, windows, size)
    assert found.shape == (n, channels, size, size)
    assert found.dtype == torch.uint8
    for i, image in enumerate(images):
        bytes_, exact = (cropped_by_torch(each, windows, i, size) for each in (image, image.float()))
        assert (found[i].int() - bytes_.int()).abs().max() <= 1
        assert (found[i] - exact).abs().max() <= 0.51


@pytest.mark.parametrize("how", [{"crop": "whole"}, {"area": (1.0, 1.0), "aspect": 1.0}])
def test_cropping_the_whole_image_at_its_size_changes_nothing(how) -> None:
    windows = draw_windows(8, 32, Augmentation(**how, flip=False), np.random.default_rng(0))
    assert torch.equal(crop_on_device(batch(), windows, 32), batch())


def test_images_are_rotated_by_each_quarter_turn_equally_often() -> None:
    n = 200
    image = batch(1)
    whole = Batch(image.expand(n, 3, 32, 32), torch.zeros(n), np.arange(n), 0, n, None, 32)
    images, _ = augment_batch(whole, Augmentation(turn=True), seed=0, n_classes=3, colours=None, mean=MEAN, std=STD)
    ways = [normalise(image)[0].rot90(quarters, (1, 2)) for quarters in range(4)]
    n_each = [sum(torch.equal(found, way) for found in images) for way in ways]
    assert sum(n_each) == n
    assert min(n_each) > 30


SHARED = [
    *EACH,
    Augmentation(crop="whole"),
    Augmentation(crop="paper", colour_shift=0.1),
    Augmentation(mixup=0.5, cutmix=1.0),
    Augmentation(cutmix=1.0, turn=True, flip=False),
]


@pytest.mark.parametrize("on_device", [False, True], ids=["cropped on the CPU", "cropped on the device"])
@pytest.mark.parametrize("how", SHARED, ids=str)
def test_processes_that_share_a_batch_see_together_what_one_would_see(how, on_device) -> None:
    """To the bit: a run on two GPUs trains on the same images as on one. The last batch has two images."""
    rng = np.random.default_rng(0)
    data = Examples(rng.integers(0, 256, (9, 32, 32, 3), dtype=np.uint8), np.arange(9), rng.integers(0, 3, 9))
    colours = data.colours()

    def steps(shard: Shard) -> list[tuple[Batch, torch.Tensor, torch.Tensor]]:
        batches = training_batches(
            data, batch_size=7, size=24, augmentation=how, seed=5, epoch=1, shard=shard, on_device=on_device
        )
        return [
            (batch, *augment_batch(batch, how, seed=100 + step, n_classes=3, colours=colours, mean=MEAN, std=STD))
            for step, batch in enumerate(batches)
        ]

    alone = steps(Shard())
    assert [len(batch.own) for batch, _, _ in alone] == [7, 2]
    for world_size in (2, 3):
        together = [steps(Shard(rank, world_size)) for rank in range(world_size)]
        for step, (_, images, targets) in enumerate(alone):
            parts = [each[step] for each in together]
            assert [row for batch, _, _ in parts for row in batch.own] == list(range(len(images)))
            assert {batch.n_all for batch, _, _ in parts} == {len(images)}
            assert all(len(batch.own) == len(part) == len(labels) for batch, part, labels in parts)
            filled = [part for part in parts if len(part[1])]
            assert torch.equal(torch.cat([part for _, part, _ in filled]), images)
            assert torch.equal(torch.cat([labels for _, _, labels in filled]), targets)


def test_neighbours_in_a_batch_have_different_random_numbers() -> None:
    """So have the same positions of other steps."""
    same = batch(1).repeat(6, 1, 1, 1)
    for how in (Augmentation(erasing=1.0), Augmentation(trivial_augment=True), Augmentation(colour_shift=0.1)):
        images = torch.cat([augmented(how, same, seed=seed)[0] for seed in (0, 1)])
        # Some may be equal: one operation of TrivialAugment does nothing.
        groups = groupby(sorted(images.flatten(1).tolist()))
        assert len(list(groups)) >= 8


@pytest.mark.parametrize(
    "wrong",
    [{"aspect": float("inf")}, {"aspect": float("nan")},
     {"area": (0.0, 1.0)}, {"area": (0.5, 0.2)}, {"area": (0.5, 1.5)}, {"erasing": 1.5}, {"mixup": -1.0},
     {"cutmix": float("nan")}, {"colour_shift": -0.1}],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong)).split("_")[0]):
        Augmentation(**wrong)


@pytest.mark.parametrize("how", [Augmentation(trivial_augment=True), Augmentation(turn=True)], ids=str)
def test_images_are_transformed_in_float32_whatever_the_precision_of_the_network(how) -> None:
    """A grid computed in bfloat16 would put a tenth of a rotated image's pixels one column off."""
    with torch.autocast("cpu", torch.bfloat16):
        rounded, _ = augmented(how, seed=3)
    exact, _ = augmented(how, seed=3)
    assert torch.allclose(rounded.float(), exact, atol=0.03), "only normalised pixels are rounded"
