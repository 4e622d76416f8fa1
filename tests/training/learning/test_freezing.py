import copy
from dataclasses import replace

import pytest
import torch

from alexnet import AlexNet, Architecture
from alexnet.errors import ArtifactError, SettingsError
from alexnet.model.artifact import load_model
from alexnet.model.opening import load_artifact
from alexnet.network.value.changes import resolve
from alexnet.network.weights.loading import load_tensors
from alexnet.training.choices.recipes import MODERN
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.freezing import freeze
from alexnet.training.learning.loop import fit
from alexnet.training.learning.muon import orthogonalise
from alexnet.training.learning.optimizer import make_optimizer, set_lr
from alexnet.training.machine.runtime import detect
from alexnet.training.session import Session

from .test_loop import make_training

NET = Architecture(hidden=(16, 8), n_classes=3, image_size=67)


def network(seed: int = 0, **changes) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(replace(NET, **changes))


def layers_of(names: tuple[str, ...]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("up_to", "frozen"),
    [
        ("conv1", ("conv1",)),
        ("conv3", ("conv1", "conv2", "conv3")),
        ("conv", ("conv1", "conv2", "conv3", "conv4", "conv5")),
        ("fc6", ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")),
    ],
)
def test_layers_are_frozen_up_to_and_with_one(up_to, frozen) -> None:
    model = network()
    assert freeze(model, up_to, model.state_dict()) == frozen
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name.partition(".")[0] not in frozen), name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("conv33", "no layer 'conv33' to freeze; did you mean 'conv3'"),
        ("convs", "did you mean 'conv'"),
        ("flatten", "no layer 'flatten'"),
        ("", "no layer ''"),
        ("fc8", "with 'fc8' frozen nothing is left to train; freeze up to fc7 at most"),
    ],
)
def test_layers_that_cannot_be_frozen_are_refused(wrong, message) -> None:
    model = network()
    with pytest.raises(SettingsError, match=message):
        freeze(model, wrong, model.state_dict())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_is_frozen_stays_to_the_bit_and_so_does_what_its_batch_norms_have_counted() -> None:
    training = make_training(n_epochs=1)
    training.frozen = freeze(training.model, "conv3", training.model.state_dict())
    recipe = replace(training.plan.recipe, weight_decay=0.1)
    training.step = replace(training.step, optimizer=make_optimizer(training.model, recipe, training.runtime))
    before = copy.deepcopy(training.model.state_dict())
    list(fit(training))
    for model in (training.model, training.eval_model):
        after = model.state_dict()
        for name, tensor in before.items():
            stays = name.partition(".")[0] in ("conv1", "conv2", "conv3")
            assert torch.equal(after[name], tensor) == stays, name
    assert "conv1.norm.running_mean" in before


def test_frozen_weights_take_no_memory_for_momentum() -> None:
    training = make_training(n_epochs=1)
    training.frozen = freeze(training.model, "conv", training.model.state_dict())
    optimizer = make_optimizer(training.model, training.plan.recipe, training.runtime)
    training.step = replace(training.step, optimizer=optimizer)
    list(fit(training))
    learned = [name for name, parameter in training.model.named_parameters() if parameter in optimizer.state]
    assert layers_of(tuple(learned)) == {"fc6", "fc7"}
    assert all(parameter.grad is None for parameter in training.model.conv1.parameters())


@pytest.mark.parametrize("name", ["sgd", "muon"])
def test_what_was_loaded_learns_at_a_fifth_of_the_rate_of_what_is_new(name) -> None:
    model = network(2, n_classes=7, in_channels=1)
    loaded = load_tensors(model, network(1).state_dict(), where="theirs.pth")
    assert [name for name, _ in loaded.adapted] == ["conv1.conv.weight"]
    recipe = replace(MODERN, weight_decay=0.0, optimizer=name)
    optimizer = make_optimizer(model, recipe, detect("cpu", "fp32"), frozenset(loaded.taken))
    set_lr(optimizer, MODERN.constant(0.1), 0.0)
    before = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: before[name] - parameter.detach() for name, parameter in model.named_parameters()}
    new = moved["fc8.linear.weight"].mean().item()
    assert new == pytest.approx(0.1 * (1 + recipe.momentum), rel=1e-3)
    for name, change in moved.items():
        share = 1.0 if name.startswith("fc8") else 0.2
        expected = torch.tensor(share * new)
        if recipe.optimizer == "muon" and change.ndim == 4:
            expected = 0.1 * share * orthogonalise(torch.ones_like(change).flatten(1)).view_as(change)
        assert torch.allclose(change, expected, rtol=1e-3, atol=1e-7), name


def test_weight_decay_is_the_same_wherever_weights_come_from() -> None:
    model = network()
    loaded = frozenset(name for name, _ in model.named_parameters() if name.startswith("conv"))
    optimizer = make_optimizer(model, MODERN, detect("cpu", "fp32"), loaded)
    names = {parameter: name for name, parameter in model.named_parameters()}
    kinds = {
        names[parameter]: (group["weight_decay"], group["lr_share"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert kinds.keys() == dict(model.named_parameters()).keys()
    assert kinds["conv1.conv.weight"] == (MODERN.weight_decay, 0.2)
    assert kinds["conv1.norm.weight"] == kinds["conv1.conv.bias"] == (0.0, 0.2)
    assert kinds["fc8.linear.weight"] == (MODERN.weight_decay, 1.0)
    assert kinds["fc8.linear.bias"] == (0.0, 1.0)
    everything = make_optimizer(model, replace(MODERN, decay_all=True), detect("cpu", "fp32"))
    assert {group["weight_decay"] for group in everything.param_groups} == {MODERN.weight_decay}


def test_a_run_begins_with_weights_of_more_colours_and_classes(image_folder, tmp_path, monkeypatch) -> None:
    """RGB weights of a thousand classes, for three classes of grey images at another size."""
    torch.manual_seed(0)
    theirs = AlexNet("torchvision", hidden=(16, 8), n_classes=1000)
    torch.save({f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}, tmp_path / "theirs.pth")
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        init="theirs.pth", variant="torchvision", hidden=(16, 8), in_channels=1, image_size=128, epochs=1, freeze="conv"
    )
    session = Session.open(image_folder, out="run", settings=settings)
    assert str(session.training.loaded) == (
        "kept: conv2, conv3, conv4, conv5, fc6, fc7; adapted: conv1 (3 to 1 channels, summed); new: fc8; "
        "left: module.fc8.linear"
    )
    assert session.settings.init == str(tmp_path / "theirs.pth")
    assert set(session.run.settings()["resolved"]["loaded"]) == set(session.training.loaded.taken)
    list(session.reports())
    model = load_model(load_artifact("run"))
    assert torch.equal(model.conv1.conv.weight, theirs.conv1.conv.weight.sum(1, keepdim=True))
    assert torch.equal(model.conv5.conv.weight, theirs.conv5.conv.weight)


def test_of_what_does_not_fit_the_settings_say_what_is_taken(image_folder, tmp_path) -> None:
    torch.manual_seed(0)
    torch.save(AlexNet("paper", width=0.125, hidden=(16, 8), n_classes=3).state_dict(), tmp_path / "theirs.pth")
    settings = Settings(init=str(tmp_path / "theirs.pth"), hidden=(16, 8), image_size=67, epochs=1)
    with pytest.raises(ArtifactError, match=r"grouped layout.*--init-take fitting"):
        Session.open(image_folder, out=tmp_path / "run", settings=settings)
    settings = replace(settings, init_take="fitting", init_pixels="caffe")
    loaded = Session.open(image_folder, out=tmp_path / "run", settings=settings).training.loaded
    assert "adapted: conv1 (Caffe's pixels to normalised RGB), fc6 (6x6 to 5x5, resampled)" in str(loaded)


def test_a_layer_that_began_at_random_is_not_frozen() -> None:
    """Its weights do not fit, and only what fits was taken: it would stay random for good."""
    model = network()
    theirs = AlexNet(replace(NET, layers=resolve(NET, groups=2).layers))
    loaded = load_tensors(model, theirs.state_dict(), where="theirs.pth", partial=True)
    with pytest.raises(SettingsError, match="cannot freeze conv2: no weights were loaded for it"):
        freeze(model, "conv3", loaded.taken)
