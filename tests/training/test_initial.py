import copy
import os
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from alexnet import AlexNet, Architecture
from alexnet.errors import ArtifactError, SettingsError
from alexnet.inference.artifact import load_artifact
from alexnet.network.architecture import Conv, Pool
from alexnet.training.initial import freeze, initialise, load_into
from alexnet.training.loop import fit
from alexnet.training.optimizer import LOADED_LR_SHARE, make_optimizer, set_lr
from alexnet.training.recipes import MODERN
from alexnet.training.runtime import detect

from .test_loop import make_training

NET = Architecture(hidden=(16, 8), n_classes=3, image_size=67)


def network(seed: int = 0, **changes) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(replace(NET, **changes))


def layers_of(names: tuple[str, ...]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def biases_of(model: AlexNet) -> dict[str, set[float]]:
    return {
        name.partition(".")[0]: set(module.bias.tolist())
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def test_the_papers_weights_are_small_and_some_of_its_biases_ones() -> None:
    """Section 5: N(0, 0.01); ones in the second, fourth and fifth convolutional and the hidden layers."""
    model = AlexNet(Architecture(n_classes=1000))
    torch.manual_seed(0)
    initialise(model, "paper")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.02)
            assert abs(module.weight.mean().item()) < 2e-4
    ones = {name for name, values in biases_of(model).items() if values == {1.0}}
    zeros = {name for name, values in biases_of(model).items() if values == {0.0}}
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert zeros == {"conv1", "conv3", "fc8"}


def test_the_papers_beginning_follows_the_layers_that_there_are() -> None:
    """With three convolutional layers, the fully-connected ones are fc4 to fc6."""
    short = (Conv(channels=8, kernel=5, stride=4), Conv(channels=8, kernel=3, pool=Pool()), Conv(channels=8, kernel=3))
    model = AlexNet(Architecture(layers=short, hidden=(16, 8), n_classes=2))
    initialise(model, "paper")
    ones = {name for name, values in biases_of(model).items() if values == {1.0}}
    assert ones == {"conv2", "fc4", "fc5"}
    assert biases_of(model)["fc6"] == {0.0}


def test_torchs_own_beginning_is_left_alone() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    initialise(model, "torch")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("how", ["torch", "paper"])
def test_the_same_seed_begins_the_same(how) -> None:
    models = []
    for seed in (0, 0, 1):
        models.append(network(seed))
        initialise(models[-1], how)
    one, same, other = (model.conv3.conv.weight for model in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_run_begins_where_another_has_ended(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    loaded = load_into(model, trained_run, ("blue", "green", "red"))
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert set(loaded.kept) == set(saved) == set(model.state_dict())
    assert loaded.new == ()
    assert "none is new" in str(loaded)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_with_other_classes_all_but_the_last_layer_is_taken_over(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture, n_classes=5)
    before = copy.deepcopy(model.fc8.state_dict())
    loaded = load_into(model, trained_run / "model" / "model.safetensors")
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert loaded.new == ("fc8.linear.weight", "fc8.linear.bias")
    assert layers_of(loaded.kept) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}
    assert "new: fc8" in str(loaded)
    assert all(torch.equal(model.state_dict()[name], saved[name]) for name in loaded.kept)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.fc8.state_dict().items())


@pytest.mark.parametrize("wrapped", [None, "state_dict", "model"])
@pytest.mark.parametrize("old", [False, True])
def test_a_pth_file_of_tensors_is_taken_over(tmp_path, wrapped, old) -> None:
    theirs = network(1).state_dict()
    found = theirs if wrapped is None else {wrapped: theirs, "epoch": 3}
    torch.save(found, tmp_path / "theirs.pth", _use_new_zipfile_serialization=not old)
    model = network(2)
    loaded = load_into(model, str(tmp_path / "theirs.pth"))
    assert set(loaded.kept) == set(theirs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


def test_weights_of_half_the_bytes_are_taken_over(tmp_path) -> None:
    theirs = {name: tensor.half() for name, tensor in network(1).state_dict().items()}
    save_file(theirs, tmp_path / "half.safetensors")
    model = network(2)
    load_into(model, tmp_path / "half.safetensors")
    assert model.conv1.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv1.conv.weight, theirs["conv1.conv.weight"].float())


class Harmful:
    """What a pickle can do: run anything."""

    def __init__(self, mark: os.PathLike[str]) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def save_harmful(path, mark) -> None:
    torch.save({"state_dict": network().state_dict(), "x": Harmful(mark)}, path)


def save_harmful_plainly(path, mark) -> None:
    path.write_bytes(pickle.dumps(Harmful(mark), protocol=2))


def save_whole_model(path, mark) -> None:
    torch.save(network(), path)


def save_garbage(path, mark) -> None:
    path.write_bytes(b"<html>404: not found</html>" * 10)


@pytest.mark.parametrize("save", [save_harmful, save_harmful_plainly, save_whole_model, save_garbage])
def test_a_pickle_with_code_is_refused_and_never_executed(tmp_path, save) -> None:
    save(tmp_path / "theirs.pth", tmp_path / "executed")
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArtifactError, match=r"theirs\.pth.*more than tensors, or is damaged") as caught:
        load_into(model, tmp_path / "theirs.pth")
    assert not (tmp_path / "executed").exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value), "nobody is told to execute it after all"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_it_would_have_been_executed(tmp_path) -> None:
    """The file above does harm to whoever unpickles it, or the test above would show nothing."""
    save_harmful_plainly(tmp_path / "theirs.pth", tmp_path / "executed")
    pickle.loads((tmp_path / "theirs.pth").read_bytes())
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "empty.pth", "empty.safetensors"])
def test_damaged_files_are_named_with_the_reason(tmp_path, name) -> None:
    save = save_file if name.endswith("safetensors") else torch.save
    save(network().state_dict(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2] if name.startswith("cut") else b"")
    with pytest.raises(ArtifactError, match=f"cannot read the weights in .*{name}': .") as caught:
        load_into(network(), tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_what_is_no_tensors_by_name_is_refused(tmp_path, content) -> None:
    torch.save(content, tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError, match=r"holds no tensors by name; save model\.state_dict\(\)"):
        load_into(network(), tmp_path / "theirs.pth")


def test_where_nothing_fits_both_networks_are_described(tmp_path) -> None:
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "theirs.safetensors")
    with pytest.raises(ArtifactError, match=r"no weights in .* fit") as caught:
        load_into(network(), tmp_path / "theirs.safetensors")
    assert "features.0.weight (64, 3, 11, 11)" in str(caught.value)
    assert "conv1.conv.weight (96, 3, 11, 11)" in str(caught.value)


def test_the_same_names_with_other_shapes_do_not_fit(tmp_path) -> None:
    short = (Conv(channels=8, kernel=5, stride=4), Conv(channels=8, kernel=3))
    save_file(AlexNet(Architecture(layers=short, hidden=(), n_classes=2)).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(
        ArtifactError, match=r"conv1\.conv\.weight \(8, 3, 5, 5\).*conv1\.conv\.weight \(96, 3, 11, 11\)"
    ):
        load_into(network(), tmp_path / "x.safetensors")


def test_missing_weights_are_said_to_be_missing(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"there are no weights at .*nowhere\.pth"):
        load_into(network(), tmp_path / "nowhere.pth")
    with pytest.raises(ArtifactError, match="holds no model"):
        load_into(network(), tmp_path)


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
        ("fc8", "with 'fc8' frozen nothing is left to learn; freeze up to fc7 at most"),
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
    for model in (training.model, training.kept):
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


def test_what_was_loaded_learns_at_a_fifth_of_the_rate_of_what_is_new(tmp_path) -> None:
    save_file(network(1).state_dict(), tmp_path / "theirs.safetensors")
    model = network(2, n_classes=7)
    loaded = load_into(model, tmp_path / "theirs.safetensors")
    recipe = replace(MODERN, weight_decay=0.0)
    optimizer = make_optimizer(model, recipe, detect("cpu", "fp32"), frozenset(loaded.kept))
    set_lr(optimizer, 0.1)
    before = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: before[name] - parameter.detach() for name, parameter in model.named_parameters()}
    new = moved["fc8.linear.weight"].mean().item()
    assert new == pytest.approx(0.1 * (1 + recipe.momentum), rel=1e-3)
    assert LOADED_LR_SHARE == 0.2
    for name, change in moved.items():
        share = 1.0 if name.startswith("fc8") else 0.2
        assert torch.allclose(change, torch.tensor(share * new), rtol=1e-3), name


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
    assert [group["weight_decay"] for group in everything.param_groups] == [MODERN.weight_decay]


def test_a_layer_that_began_at_random_is_not_frozen() -> None:
    """RGB weights do not fit the conv1 of a greyscale network: it would stay random for good."""
    model = AlexNet(n_classes=2, in_channels=1)
    kept = [name for name in model.state_dict() if not name.startswith("conv1.conv")]
    with pytest.raises(SettingsError, match="conv1 begins at random"):
        freeze(model, "conv3", kept)


def test_the_last_layer_of_other_classes_is_not_taken_over(trained_run) -> None:
    """As many classes, but others: labels go by name."""
    net = load_artifact(trained_run).architecture
    assert not any(name.startswith("fc8") for name in load_into(AlexNet(net), trained_run, ("a", "b", "c")).kept)
    assert any(name.startswith("fc8") for name in load_into(AlexNet(net), trained_run, ("blue", "green", "red")).kept)
