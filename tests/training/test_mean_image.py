"""Recipe ``original`` in whole runs: the mean image computed, saved and loaded, the colours' end, stops and resumes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from alexnet import AlexNet, Settings, evaluate, load, load_weights, train
from alexnet.data.batches.examples import Examples, Shard
from alexnet.errors import ArtifactError
from alexnet.images.decoding import decode
from alexnet.images.preprocessing import to_channels
from alexnet.network.value.changes import load_architecture, resolve
from alexnet.training.learning import loop
from alexnet.training.machine.distributed import Group
from alexnet.training.mean_image import CHUNK, mean_image, pixel_sums, set_mean_image
from alexnet.training.run.run import Run
from alexnet.training.session import Session

from ..conftest import make_image_folder

QUICK = Settings(
    recipe="original", variant="small", image_size=28, hidden=(16,), width=0.125, batch_size=16, epochs=2, device="cpu"
)


def stored(n: int, side: int = 64) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (n + 3, side, side, 3), dtype=np.uint8)
    return Examples(pixels, np.arange(3, n + 3), np.zeros(n, dtype=np.int64))


@pytest.fixture(scope="module")
def whole(image_folder, tmp_path_factory) -> Run:
    """A run without a stop."""
    return train(image_folder, out=tmp_path_factory.mktemp("whole") / "run", settings=QUICK, verbose=False)


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.model_folder / "model.safetensors")


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
def test_the_sums_are_those_of_all_images_however_many_processes_share_them(n) -> None:
    data = stored(n, side=16)
    expected = data.pixels[3:].astype(np.int64).sum(axis=0)
    assert np.array_equal(pixel_sums(data), expected)
    parts = [pixel_sums(data.part(Shard(rank, 3))) for rank in range(3)]
    assert np.array_equal(sum(parts), expected)
    grey = replace(data, n_channels=1)
    assert np.array_equal(pixel_sums(grey), to_channels(data.pixels[3:], 1).astype(np.int64).sum(axis=0))


def test_it_is_the_centre_of_the_mean_and_less_of_all_crops_alike() -> None:
    data = stored(5, side=256)
    mean = pixel_sums(data) / 5
    found = mean_image(mean, "paper", 224)
    by_hand = torch.from_numpy(data.pixels[3:].astype(np.float64)).mean(dim=0)[16:240, 16:240].permute(2, 0, 1)
    assert found.shape == (3, 224, 224)
    assert torch.allclose(found.double(), by_hand, atol=1e-4)
    assert torch.allclose(mean_image(mean, "whole", 256).double(), torch.from_numpy(mean).permute(2, 0, 1), atol=1e-4)
    smaller = mean_image(mean, "paper", 112)
    assert torch.allclose(smaller.mean(dim=(1, 2)), found.mean(dim=(1, 2)), atol=0.5)

    model = AlexNet(replace(resolve("small", n_classes=2, width=0.125, hidden=(8,), image_size=224), mean_image=True))
    set_mean_image(model, data, "paper", Group())
    assert torch.equal(model.mean_image, found)


def test_a_run_has_the_mean_of_its_training_images(image_folder, tmp_path) -> None:
    training = Session.start(image_folder, tmp_path / "run", QUICK).training
    pixels = training.train.pixels[training.train.rows].astype(np.float64)
    expected = mean_image(pixels.mean(axis=0), "paper", 28)
    assert torch.allclose(training.mean_image, expected, atol=1e-3)
    assert training.plan.architecture.mean_image
    assert (training.mean, training.std) == ((0.0,) * 3, (1 / 255,) * 3)


def test_it_is_saved_evaluated_and_loaded_again(whole, image_folder) -> None:
    config = json.loads((whole.model_folder / "config.json").read_text())
    assert config["architecture"]["mean_image"] is True
    assert config["preprocessing"]["mean"] == [0, 0, 0]
    assert config["preprocessing"]["std"] == [1 / 255] * 3
    assert "less the mean image" in (whole.model_folder / "README.md").read_text()
    last = whole.metrics()[-1]
    result = evaluate(whole.folder, split="val")
    assert result.scores.loss == pytest.approx(last["val_loss"], abs=0.01)
    assert result.scores.top1 == pytest.approx(last["val_top1"])

    # By hand, from a file of our own to the probabilities.
    file = next(image_folder.glob("red/*.jpg"))
    weights = weights_of(whole)
    model = AlexNet(load_architecture(whole.model_folder / "config.json")).eval()
    model.load_state_dict(weights)
    classifier = load(whole.folder)
    how = classifier.artifact.preprocessing
    pixels = torch.from_numpy(np.array(how.apply(decode(file), 28))).permute(2, 0, 1)[None].float()
    plain = AlexNet(replace(model.architecture, mean_image=False)).eval()
    plain.load_state_dict({name: each for name, each in weights.items() if name != "mean_image"})
    with torch.inference_mode():
        logits = plain(pixels - weights["mean_image"])
        assert torch.allclose(model(pixels), logits, atol=1e-6)
    expected = (logits / classifier.artifact.calibration.temperature).softmax(dim=1)[0]
    found = {each.label: each.probability for each in classifier.predict(file)[0].predictions}
    for label, probability in zip(classifier.classes, expected.tolist(), strict=True):
        assert found[label] == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("n_reports", [0, 3, 8])
def test_stopped_and_resumed_it_ends_the_same_to_the_bit(whole, image_folder, tmp_path, n_reports) -> None:
    """Even where it was killed before its first checkpoint: the mean image is then computed again."""
    session = Session.start(image_folder, tmp_path / "broken", QUICK)
    if n_reports:
        for number, _ in enumerate(session.reports(), start=1):
            if number == n_reports:
                break
        session.save()
    resumed = Session.resume(tmp_path / "broken")
    assert resumed.training.plan.recipe == session.training.plan.recipe
    list(resumed.reports())
    for name, tensor in weights_of(resumed.run).items():
        assert torch.equal(tensor, weights_of(whole)[name]), name


def test_a_checkpoint_gives_back_the_mean_image_without_a_look_at_the_images(
    whole, image_folder, tmp_path, monkeypatch
) -> None:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    next(iter(session.reports()))
    session.save()
    monkeypatch.setattr("alexnet.training.assembly.set_mean_image", None)
    resumed = Session.resume(tmp_path / "run")
    assert torch.equal(resumed.training.mean_image, weights_of(whole)["mean_image"])


def test_colours_are_shifted_until_67_of_91(image_folder, tmp_path, monkeypatch) -> None:
    shifts, images = [], []

    def watched(batch, how, **options):
        shifts.append(how.colour_shift)
        assert torch.equal(options["mean_image"], session.training.mean_image)
        result = loop_augment(batch, how, **options)
        images.append(result[0])
        return result

    loop_augment = loop.augment_batch
    monkeypatch.setattr(loop, "augment_batch", watched)
    session = Session.start(image_folder, tmp_path / "run", replace(QUICK, epochs=4))
    list(session.reports())
    n = len(shifts)
    expected = [0.1 if (step + 0.5) / n < 67 / 91 else 0.0 for step in range(n)]
    assert shifts == expected
    assert 0.0 in shifts
    assert 0.1 in shifts
    for shift, each in zip(shifts, images, strict=True):
        # Whole levels, but for rounding, once nothing is shifted or divided.
        assert ((each - each.round()).abs().max() < 1e-3) == (shift == 0)


def test_weights_to_start_from_bring_their_mean_image(whole, tmp_path) -> None:
    others = make_image_folder(tmp_path / "others", n_each=12, first=500)
    settings = replace(QUICK, init=str(whole.folder), epochs=1)
    training = Session.start(others, tmp_path / "run", settings).training
    assert torch.equal(training.mean_image, weights_of(whole)["mean_image"])
    assert "mean_image" in training.loaded.kept


def test_a_recipe_without_one_refuses_such_weights_and_takes_their_network(whole, image_folder, tmp_path) -> None:
    settings = replace(QUICK, recipe="paper", init=str(whole.folder))
    with pytest.raises(ArtifactError, match=r"holds a mean_image: .*use --recipe original.*add --architecture"):
        Session.start(image_folder, tmp_path / "refused", settings)
    assert not (tmp_path / "refused").exists()

    config = str(whole.model_folder / "config.json")
    own = Settings(recipe="modern", architecture=config, init=str(whole.folder), image_size=28, device="cpu")
    training = Session.start(image_folder, tmp_path / "taken", own).training
    assert training.std == (1 / 255,) * 3
    assert torch.equal(training.mean_image, weights_of(whole)["mean_image"])

    plain = AlexNet(replace(load_architecture(config), mean_image=False))
    with pytest.raises(ArtifactError, match="holds a mean_image"):
        load_weights(plain, whole.folder)


def test_weights_without_one_are_refused_by_the_recipe(image_folder, tmp_path) -> None:
    theirs = AlexNet(resolve("small", n_classes=3, width=0.125, hidden=(16,), image_size=28))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError, match=r"theirs.pth' has no mean_image, .*\(--recipe paper\)$"):
        Session.start(image_folder, tmp_path / "run", replace(QUICK, init=str(tmp_path / "theirs.pth")))


def test_the_averaged_network_has_it_too(image_folder, tmp_path) -> None:
    session = Session.start(image_folder, tmp_path / "run", replace(QUICK, ema=0.5))
    before = session.training.mean_image.clone()
    list(session.reports())
    assert torch.equal(weights_of(session.run)["mean_image"], before)
    assert before.abs().max() > 1
