"""Muon against plain implementations of its formulas, and exact resume with it."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from alexnet import AlexNet
from alexnet.network.value.changes import resolve
from alexnet.training.choices.recipe import change
from alexnet.training.choices.recipes import MODERN, PAPER
from alexnet.training.learning.freezing import freeze
from alexnet.training.learning.loop import fit, fit_steps
from alexnet.training.learning.muon import COEFFICIENTS, N_STEPS, Muon, orthogonalise
from alexnet.training.learning.optimizer import make_optimizer, set_lr
from alexnet.training.machine.runtime import detect

from .test_loop import make_training

# Two groups in conv2, conv4 and conv5. All matrices are wide; those of Tall are tall.
NET = resolve("paper", width=0.125, hidden=(12, 10), n_classes=3, image_size=67)
CPU = detect("cpu", "fp32")
LR, MOMENTUM, DECAY = 0.05, 0.9, 0.01
RECIPE = replace(MODERN, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)


def newton_schulz(matrix: Tensor, n_steps: int = N_STEPS) -> Tensor:
    """Jordan's iteration as it is published, on the matrix itself."""
    a, b, c = COEFFICIENTS
    x = matrix.double()
    x = x.T if len(matrix) > matrix.shape[1] else x
    x = x / (x.norm() + 1e-12)
    for _ in range(n_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if len(matrix) > matrix.shape[1] else x


def well_conditioned(n_rows: int, n_columns: int, seed: int = 0) -> Tensor:
    """A matrix whose singular values are within a factor of two."""
    generator = torch.Generator().manual_seed(seed)
    u, _, v = torch.linalg.svd(torch.randn(n_rows, n_columns, generator=generator), full_matrices=False)
    return u @ torch.diag(torch.linspace(1, 2, min(n_rows, n_columns))) @ v


@pytest.mark.parametrize("shape", [(8, 8), (16, 75), (40, 12), (1, 9), (9, 1), (64, 576)])
@pytest.mark.parametrize("n_steps", [1, 3, 5])
def test_it_is_the_newton_schulz_iteration(shape, n_steps) -> None:
    for matrix in (well_conditioned(*shape), torch.randn(shape, generator=torch.Generator().manual_seed(1))):
        for scale in (1.0, 1e-6, 1e6):
            found = orthogonalise(scale * matrix, n_steps)
            assert found.shape == shape
            assert torch.allclose(found.double(), newton_schulz(matrix, n_steps), atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (16, 75), (40, 12), (1, 9)])
def test_singular_values_come_close_to_one_and_singular_vectors_stay(shape) -> None:
    matrix = well_conditioned(*shape)
    found = orthogonalise(matrix)
    values = torch.linalg.svdvals(found)
    assert 0.6 < values.min() <= values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    core = u.mT @ found @ v.mT
    assert torch.allclose(core, torch.diag(core.diagonal()), atol=1e-5)


def test_each_matrix_of_several_is_one_of_its_own() -> None:
    matrices = torch.stack([well_conditioned(6, 20, seed) * 10.0**seed for seed in range(3)])
    for found, matrix in zip(orthogonalise(matrices), matrices, strict=True):
        assert torch.allclose(found, orthogonalise(matrix), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (2, 4, 9)])
def test_zeros_stay_zeros(shape) -> None:
    assert torch.equal(orthogonalise(torch.zeros(shape)), torch.zeros(shape))


class Tall(nn.Module):
    """One convolution with more outputs than inputs: (96, 2 * 3 * 3) in two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 96, 3, groups=2)


def network(seed: int = 0) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(NET)


def give_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.grad = torch.empty_like(parameter).copy_(drawn)  # in the parameter's order in memory


def kernels_of(model: nn.Module) -> dict[str, int]:
    """The names of the weights of convolutions, and their groups."""
    return {f"{name}.weight": each.groups for name, each in model.named_modules() if isinstance(each, nn.Conv2d)}


def plain_muon(start: Tensor, gradients: list[Tensor], n_groups: int, lr: float, *, nesterov: bool) -> Tensor:
    """KellerJordan's update, in float64, for each group of a convolution by itself."""
    weight, buffer = start.double(), torch.zeros_like(start, dtype=torch.float64)
    for gradient in gradients:
        buffer = MOMENTUM * buffer + (1 - MOMENTUM) * gradient.double()
        ahead = (1 - MOMENTUM) * gradient.double() + MOMENTUM * buffer if nesterov else buffer
        parts = [part.flatten(1) for part in ahead.chunk(n_groups)]
        directions = [newton_schulz(each) * max(1, each.shape[0] / each.shape[1]) ** 0.5 for each in parts]
        # Weight decay as strong as SGD's, whose steps add up to 1 / (1 - momentum) of a gradient.
        weight = weight * (1 - lr * DECAY / (1 - MOMENTUM)) - lr * torch.cat(directions).view_as(weight)
    return weight


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("make", [network, Tall], ids=["paper", "tall"])
def test_convolutions_learn_as_in_the_published_formula(make, memory_format, nesterov) -> None:
    model = make().to(memory_format=memory_format)
    optimizer = make_optimizer(model, replace(RECIPE, nesterov=nesterov), CPU)
    kernels, gradients = kernels_of(model), []
    assert 2 in kernels.values()
    before = {name: model.get_parameter(name).detach().clone() for name in kernels}
    for seed in range(3):
        give_gradients(model, seed)
        gradients.append({name: model.get_parameter(name).grad.clone() for name in kernels})
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    for name, n_groups in kernels.items():
        expected = plain_muon(before[name], [each[name] for each in gradients], n_groups, LR, nesterov=nesterov)
        assert torch.allclose(model.get_parameter(name).double(), expected, atol=1e-5), name
        assert (model.get_parameter(name) - before[name]).abs().max() > 1e-2, name


def test_weights_in_both_orders_in_memory_learn_the_same_to_the_bit() -> None:
    models = [network().to(memory_format=each) for each in (torch.contiguous_format, torch.channels_last)]
    for model in models:
        optimizer = make_optimizer(model, RECIPE, CPU)
        for seed in range(2):
            give_gradients(model, seed)
            optimizer.step()
    assert not models[1].conv2.conv.weight.is_contiguous()
    one, other = (model.state_dict() for model in models)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_everything_but_convolutions_learns_as_with_torchs_sgd_to_the_bit() -> None:
    ours, theirs = network(), network()
    decays = [[each for each in theirs.parameters() if (each.ndim > 1) == is_matrix] for is_matrix in (True, False)]
    options = {"lr": LR, "momentum": MOMENTUM, "nesterov": True, "fused": True}
    sgd = torch.optim.SGD(
        [{"params": decays[0], "weight_decay": DECAY}, {"params": decays[1], "weight_decay": 0.0}], **options
    )
    optimizer = make_optimizer(ours, RECIPE, CPU)
    for seed in range(3):
        for model, each in ((ours, optimizer), (theirs, sgd)):
            give_gradients(model, seed)
            each.step()
    kernels = kernels_of(ours)
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter, theirs.get_parameter(name)) == (name not in kernels), name


@pytest.mark.parametrize("recipe", [replace(MODERN, optimizer="sgd"), PAPER], ids=["modern", "paper"])
def test_the_optimizer_sgd_is_torchs_to_the_bit(recipe) -> None:
    ours, theirs = network(), network()
    optimizer = make_optimizer(ours, recipe, CPU)
    assert type(optimizer) is torch.optim.SGD
    every = [{"params": [each], "weight_decay": recipe.weight_decay if each.ndim > 1 or recipe.decay_all else 0.0}
             for each in theirs.parameters()]  # fmt: skip
    sgd = torch.optim.SGD(every, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True)
    for seed in range(3):
        for model, each in ((ours, optimizer), (theirs, sgd)):
            give_gradients(model, seed)
            each.step()
    assert all(torch.equal(each, theirs.get_parameter(name)) for name, each in ours.named_parameters())


def test_the_learning_rate_is_the_length_of_a_step_whatever_the_gradient() -> None:
    moved = []
    for scale in (1e-3, 1.0, 1e3):
        model = network()
        optimizer = make_optimizer(model, replace(RECIPE, weight_decay=0.0), CPU)
        set_lr(optimizer, RECIPE.constant(0.01), 0.0)
        before = model.conv3.conv.weight.detach().clone()
        give_gradients(model, 0)
        model.conv3.conv.weight.grad *= scale
        optimizer.step()
        moved.append(before - model.conv3.conv.weight.detach())
    assert torch.allclose(moved[0], moved[1], atol=1e-6)
    assert torch.allclose(moved[2], moved[1], atol=1e-6)
    rank = min(moved[1].flatten(1).shape)
    assert 0.6 * 0.01 * math.sqrt(rank) < moved[1].norm() < 1.3 * 0.01 * math.sqrt(rank)


def test_frozen_convolutions_are_not_trained() -> None:
    model = network()
    freeze(model, "conv3", model.state_dict())
    before = copy.deepcopy(model.state_dict())
    optimizer = make_optimizer(model, RECIPE, CPU)
    give_gradients(model, 0)
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith(("conv1", "conv2", "conv3")), name
        assert (parameter in optimizer.state) == parameter.requires_grad, name


def test_loaded_convolutions_take_steps_of_a_fifth() -> None:
    moved = []
    for loaded in (frozenset(), frozenset({"conv2.conv.weight"})):
        model = network()
        optimizer = make_optimizer(model, replace(RECIPE, weight_decay=0.0), CPU, loaded)
        set_lr(optimizer, RECIPE.constant(LR), 0.0)
        before = {name: each.detach().clone() for name, each in model.named_parameters()}
        give_gradients(model, 0)
        optimizer.step()
        moved.append({name: each.detach() - before[name] for name, each in model.named_parameters()})
    for name, change_ in moved[0].items():
        share = 0.2 if name == "conv2.conv.weight" else 1.0
        assert torch.allclose(moved[1][name], share * change_, atol=1e-6), name


def test_a_weight_without_a_gradient_stays() -> None:
    model = network()
    optimizer = make_optimizer(model, RECIPE, CPU)
    give_gradients(model, 0)
    model.conv1.conv.weight.grad = None
    before = model.conv1.conv.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.conv1.conv.weight, before)


def test_a_closure_computes_the_gradients_of_all_weights() -> None:
    with_closure, without = network(), network()

    def closure() -> float:
        assert torch.is_grad_enabled()
        give_gradients(with_closure, 0)
        return 1.5

    assert make_optimizer(with_closure, RECIPE, CPU).step(closure) == 1.5
    optimizer = make_optimizer(without, RECIPE, CPU)
    give_gradients(without, 0)
    optimizer.step()
    assert all(torch.equal(each, without.get_parameter(name)) for name, each in with_closure.named_parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("n_parts", [1, 2])
def test_stopped_and_resumed_it_ends_the_same_to_the_bit(n_parts, precision) -> None:
    """Also in parts and in bfloat16; checkpoints have the momentum of both kinds of weights."""

    def begin():
        training = make_training(device_precision=precision)
        training.step = replace(training.step, n_parts=n_parts)
        assert type(training.step.optimizer) is Muon
        return training

    whole = begin()
    list(fit(whole))
    first, second = begin(), begin()
    for number, _ in enumerate(fit_steps(first), start=1):
        if number == 4:
            break
    assert len(first.step.optimizer.state) == len(list(first.model.parameters()))
    second.model.load_state_dict(first.model.state_dict())
    second.average.model.load_state_dict(first.average.model.state_dict())
    second.step.optimizer.load_state_dict(first.step.optimizer.state_dict())
    second.position = copy.deepcopy(first.position)
    list(fit(second))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


@pytest.mark.parametrize("name", ["muon", "sgd"])
def test_a_network_learns_with_both(name) -> None:
    training = make_training(n_epochs=6)
    recipe = change(training.plan.recipe, optimizer=name)
    training.step = replace(training.step, optimizer=make_optimizer(training.model, recipe, training.runtime))
    reports = list(fit(training))
    assert reports[-1].train_loss < 0.8 * reports[0].train_loss
