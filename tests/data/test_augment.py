import numpy as np
import pytest
import torch

from alexnet.data.augment import Batch, draw_windows, principal_colours, vary
from alexnet.data.augmentation import Augmentation
from alexnet.data.preprocessing import GREY_MEAN, GREY_STD, MEAN, STD
from alexnet.data.tensors import normalise
from alexnet.errors import SettingsError


def batch(n: int = 8, channels: int = 3) -> torch.Tensor:
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, channels, 32, 32), dtype=np.uint8))
    return pictures.contiguous(memory_format=torch.channels_last)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def varied(how: Augmentation, pictures: torch.Tensor | None = None, seed: int = 0):
    pictures = batch() if pictures is None else pictures
    mean, std = (MEAN, STD) if pictures.shape[1] == 3 else (GREY_MEAN, GREY_STD)
    colours = principal_colours(batch().permute(0, 2, 3, 1).numpy())
    n = len(pictures)
    whole = Batch(pictures, LABELS[:n], np.arange(n), 0, n, None, 32)
    return vary(whole, how, seed=seed, n_classes=3, colours=colours, mean=mean, std=std)


def test_nothing_more_than_cropping_is_the_normalised_batch() -> None:
    pictures, targets = varied(Augmentation())
    assert torch.equal(pictures, normalise(batch()))
    assert torch.equal(targets, LABELS)


EACH = [
    Augmentation(colour_shift=0.1),
    Augmentation(trivial_augment=True),
    Augmentation(erasing=1.0),
    Augmentation(mixup=0.2),
    Augmentation(cutmix=1.0),
    Augmentation(mixup=0.2, cutmix=1.0, erasing=0.5, trivial_augment=True, colour_shift=0.1),
]


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("how", EACH, ids=str)
def test_every_way_changes_pictures_and_follows_from_the_seed(how, channels) -> None:
    pictures, targets = varied(how, batch(channels=channels))
    again, same_targets = varied(how, batch(channels=channels))
    other, _ = varied(how, batch(channels=channels), seed=1)
    plain, _ = varied(Augmentation(), batch(channels=channels))
    assert torch.equal(pictures, again)
    assert torch.equal(targets, same_targets)
    assert not torch.equal(pictures, other)
    assert pictures.shape == plain.shape
    assert pictures.dtype == plain.dtype
    assert pictures.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(pictures, plain)
    assert torch.isfinite(pictures).all()


@pytest.mark.parametrize("how", EACH, ids=str)
def test_in_bfloat16_too(how) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        pictures, _ = varied(how)
    assert pictures.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_pictures_have_mixed_labels(name) -> None:
    """yolov5 #11034: mixup and cutmix were accepted and did nothing."""
    _, targets = varied(Augmentation(**{name: 1.0}))
    assert targets.shape == (8, 3)
    assert torch.allclose(targets.sum(dim=1), torch.ones(8))
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_a_batch_of_one_is_not_mixed() -> None:
    pictures, targets = vary(
        batch(1), LABELS[:1], Augmentation(mixup=1.0), n_classes=3, colours=None, mean=MEAN, std=STD
    )
    assert len(pictures) == 1
    assert targets.shape == (1,)


def test_colours_shift_along_their_principal_components() -> None:
    """Section 4.1: multiples of the components, as large as the eigenvalues times a Gaussian of spread 0.1."""
    rng = np.random.default_rng(0)
    # Pixels that vary along one line through the colours: red and green together, blue hardly.
    along = rng.normal(0, 40, (20, 16, 16, 1))
    pixels = (128 + along * (0.7, 0.7, 0.0) + rng.normal(0, 1, (20, 16, 16, 3))).clip(0, 255).astype(np.uint8)
    colours = principal_colours(pixels)
    largest = colours[:, -1]
    assert abs(largest[0] / largest[1]) == pytest.approx(1, abs=0.05)
    assert abs(largest[2]) < 0.05 * abs(largest[0])
    assert float(largest.norm()) == pytest.approx(np.cov((pixels[..., 0] / 255).ravel()) * 2, rel=0.15)

    torch.manual_seed(0)
    how = Augmentation(colour_shift=0.1)
    pictures, _ = vary(batch(), LABELS, how, n_classes=3, colours=colours, mean=MEAN, std=STD)
    shift = ((pictures - normalise(batch())) * torch.tensor(STD).view(1, 3, 1, 1)).mean(dim=(2, 3))
    assert torch.allclose(shift[:, 0], shift[:, 1], atol=1e-3)
    assert shift[:, 2].abs().max() < 1e-3


def test_trivial_augment_treats_each_picture_by_itself() -> None:
    same = batch(1).repeat(8, 1, 1, 1)
    pictures, _ = varied(Augmentation(trivial_augment=True), same)
    assert len({tuple(picture.flatten().tolist()) for picture in pictures}) > 3


@pytest.mark.parametrize("aspect", [1.0, 4 / 3, 2.0])
def test_windows_lie_inside_and_have_the_area_asked_for(aspect) -> None:
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


@pytest.mark.parametrize(
    "wrong",
    [{"area": (0.0, 1.0)}, {"area": (0.5, 0.2)}, {"area": (0.5, 1.5)}, {"erasing": 1.5}, {"mixup": -1.0},
     {"cutmix": float("nan")}, {"colour_shift": -0.1}],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong)).split("_")[0]):
        Augmentation(**wrong)
