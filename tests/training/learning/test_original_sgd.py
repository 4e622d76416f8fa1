"""A step of recipe ``original``, held against the program's update written out; there it is in src/weights.cu."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet import AlexNet
from alexnet.errors import SettingsError
from alexnet.network.value.changes import resolve
from alexnet.training.choices.recipe import Recipe, change
from alexnet.training.choices.recipes import ORIGINAL
from alexnet.training.learning.optimizer import LOADED_LR_SHARE, make_optimizer, set_lr
from alexnet.training.learning.original_sgd import OriginalSGD
from alexnet.training.learning.step import Step
from alexnet.training.machine.runtime import detect

CPU = detect("cpu", "fp32")
# Torch's random weights: those of 2012 are so small that biases of one would hardly move in so small a network.
NET = replace(
    resolve("original", width=0.1, hidden=(12, 12), n_classes=3, image_size=67, dropout=0.0), initialisation="torch"
)
# Of the whole training, where the rates are those before the first division, after the second, and of conv1 alone.
EARLY, SECOND, THIRD, LAST = 0.1, 60 / 91, 70 / 91, 75 / 91


def network(seed: int = 0) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(NET).double().train()


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(6, 3, 67, 67, generator=rng, dtype=torch.float64) * 255 - 128, torch.tensor([0, 1, 2, 0, 1, 2])


def rates(name: str, progress: float) -> float:
    """The rates of the program's parameter files, by hand."""
    is_bias = name.endswith(".bias")
    epoch = 91 * progress
    if name.startswith("conv1") and epoch >= 72:
        return 0.0
    if is_bias:
        return 0.02
    rate = 0.01 if epoch < 25 else 0.001 if epoch < 51 else 0.0001 if epoch < 79 else 0.00001
    return rate / 10 if name.startswith("conv1") and epoch >= 67 else rate


def written_out(
    model: AlexNet, v: dict[str, torch.Tensor], images: torch.Tensor, labels: torch.Tensor, progress: float
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the weights and the momentum after a step, without an optimiser."""
    exact = copy.deepcopy(model)
    exact.zero_grad()
    F.cross_entropy(exact(images), labels).backward()
    new, new_v = {}, {}
    for name, w in exact.named_parameters():
        rate, decay = rates(name, progress), 0.0 if name.endswith(".bias") else 0.0005
        before = v.get(name, torch.zeros_like(w))
        if rate == 0:
            new[name], new_v[name] = w.detach(), before
            continue
        new_v[name] = 0.9 * before - decay * rate * w.detach() - rate * w.grad
        new[name] = w.detach() + new_v[name]
    return new, new_v


def take(model: AlexNet, optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float, seed: int) -> None:
    set_lr(optimizer, recipe, progress)
    images, labels = batch(seed)
    Step(network=model, optimizer=optimizer, runtime=CPU, recipe=recipe).take(images, labels, seed=0)


def momentum(model: AlexNet, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        name: optimizer.state[each]["momentum_buffer"].clone()
        for name, each in model.named_parameters()
        if optimizer.state[each]
    }


@pytest.mark.parametrize(
    "stages",
    [(EARLY,), (SECOND,), (THIRD,), (LAST,), (24 / 91, 26 / 91), (EARLY, EARLY, SECOND), (EARLY, THIRD, LAST, 80 / 91)],
    ids=lambda stages: " ".join(f"{91 * each:.0f}" for each in stages),
)
def test_a_step_is_the_update_written_out(stages) -> None:
    model = network()
    optimizer = make_optimizer(model, ORIGINAL, CPU)
    for seed, progress in enumerate(stages):
        weights, v = written_out(model, momentum(model, optimizer), *batch(seed), progress)
        before = {name: each.detach().clone() for name, each in model.named_parameters()}
        take(model, optimizer, ORIGINAL, progress, seed)
        found = momentum(model, optimizer)
        for name, each in model.named_parameters():
            # The loss is in float32, so gradients are exact to about 1e-7.
            scale = float(v[name].abs().max())
            assert torch.allclose(each, weights[name], rtol=0, atol=1e-6 * scale), name
            assert torch.allclose(found.get(name, torch.zeros_like(each)), v[name], rtol=0, atol=1e-6 * scale), name
            if rates(name, progress) == 0:
                assert torch.equal(each, before[name]), "at a rate of 0 nothing moves, whatever the momentum"
            else:
                assert not torch.equal(each, before[name]), name


def test_across_a_division_it_differs_from_torchs_sgd() -> None:
    """The momentum of the old rate runs out by itself; torch cuts it to a tenth at once."""
    with_torch = replace(ORIGINAL, lr_inside_momentum=False)
    results = []
    for recipe in (ORIGINAL, with_torch):
        model = network()
        optimizer = make_optimizer(model, recipe, CPU)
        take(model, optimizer, recipe, 24 / 91, 0)
        first = {name: each.detach().clone() for name, each in model.named_parameters()}
        take(model, optimizer, recipe, 26 / 91, 1)
        results.append((first, dict(model.named_parameters())))
    weight = "fc8.linear.weight"
    (first, _), (torch_first, _) = results
    assert torch.allclose(first[weight], torch_first[weight], atol=1e-7), "the same until the rate changes"
    moved, torch_moved = ((after[weight] - before[weight]).norm() for before, after in results)
    assert moved > 3 * torch_moved


def test_parameters_are_in_groups_of_one_rate_and_one_decay() -> None:
    model = network()
    optimizer = make_optimizer(model, ORIGINAL, CPU)
    assert isinstance(optimizer, OriginalSGD)
    names = {each: name for name, each in model.named_parameters()}
    set_lr(optimizer, ORIGINAL, THIRD)
    found = {
        names[each]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for each in group["params"]
    }
    assert found.keys() == set(names.values())
    for name, (lr, decay) in found.items():
        assert lr == pytest.approx(rates(name, THIRD))
        assert decay == (0 if name.endswith("bias") else 0.0005)


def test_frozen_and_loaded_parameters_keep_their_part() -> None:
    model = network()
    model.freeze("conv2")
    optimizer = make_optimizer(model, ORIGINAL, CPU, frozenset({"conv3.conv.bias"}))
    names = {each: name for name, each in model.named_parameters()}
    set_lr(optimizer, ORIGINAL, 0.0)
    lrs = {names[each]: group["lr"] for group in optimizer.param_groups for each in group["params"]}
    assert not any(name.startswith(("conv1", "conv2")) for name in lrs)
    assert lrs["conv3.conv.bias"] == pytest.approx(0.02 * LOADED_LR_SHARE)
    assert lrs["conv4.conv.bias"] == 0.02
    before = model.conv2.conv.weight.detach().clone()
    take(model, optimizer, ORIGINAL, 0.0, 0)
    assert torch.equal(model.conv2.conv.weight, before)


def test_a_step_in_parts_is_a_step() -> None:
    both = []
    for n_parts in (1, 3):
        model = network()
        optimizer = make_optimizer(model, ORIGINAL, CPU)
        step = Step(network=model, optimizer=optimizer, runtime=CPU, recipe=ORIGINAL, n_parts=n_parts)
        set_lr(optimizer, ORIGINAL, 0.0)
        step.take(*batch(), seed=0)
        both.append(dict(model.named_parameters()))
    one, three = both
    for name, each in one.items():
        scale = float(each.detach().abs().max())
        assert torch.allclose(each, three[name], atol=1e-5 * scale, rtol=1e-4), name


def test_a_closure_is_called_before_the_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = OriginalSGD([{"params": [weight], "weight_decay": 0.0}], lr=0.5, momentum=0.9)

    def closure() -> float:
        optimizer.zero_grad()
        (3 * weight).sum().backward()
        return 1.5

    assert optimizer.step(closure) == 1.5
    assert weight.item() == pytest.approx(1 - 0.5 * 3)
    optimizer.zero_grad()
    assert optimizer.step() is None
    assert weight.item() == pytest.approx(1 - 0.5 * 3), "without a gradient nothing moves"


@pytest.mark.parametrize("changed", [{"optimizer": "muon"}, {"nesterov": True}])
def test_other_momentum_is_refused(changed) -> None:
    with pytest.raises(
        SettingsError,
        match=r"recipe original has a momentum of its own, .* not .*(muon|Nesterov).*; leave --optimizer out",
    ):
        change(ORIGINAL, **changed)
