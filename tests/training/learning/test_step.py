import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from alexnet import AlexNet, Architecture
from alexnet.network.value.layers import Conv, Pool
from alexnet.training.choices.recipes import MODERN
from alexnet.training.learning.step import Step
from alexnet.training.machine.runtime import detect

# Small, so that a step takes milliseconds.
LAYERS = (Conv(channels=16, kernel=5, stride=2, pool=Pool()), Conv(channels=24, kernel=3, padding=1))
NET = Architecture(layers=LAYERS, hidden=(32, 16), n_classes=3, image_size=32)


@pytest.fixture(scope="module")
def begin() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(NET)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(7, 3, 32, 32)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])
SHARES = F.one_hot(LABELS, 3) * 0.7 + F.one_hot(LABELS.roll(1), 3) * 0.3


def step_of(model: torch.nn.Module, lr: float = 0.1, **how) -> Step:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    chosen = {name: how.pop(name, 0.0) for name in ("label_smoothing", "clip_norm")}
    recipe = replace(MODERN, **chosen)
    return Step(network=model.train(), optimizer=optimizer, runtime=detect("cpu", "fp32"), recipe=recipe, **how)


def change_of(begin: AlexNet, images: torch.Tensor, targets: torch.Tensor = LABELS, seed: int = 5, **how):
    """The loss of one step of plain SGD, and what it has added to each weight."""
    model = copy.deepcopy(begin)
    loss = step_of(model, **how).take(images, targets, seed=seed)
    return loss, {name: each.detach() - begin.get_parameter(name) for name, each in model.named_parameters()}


def norm_of(change: dict[str, torch.Tensor]) -> float:
    return math.sqrt(sum(each.square().sum().item() for each in change.values()))


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("n_parts", [2, 3, 7])
@pytest.mark.parametrize("targets", [LABELS, SHARES], ids=["labels", "mixed labels"])
def test_in_parts_a_step_learns_the_same(begin, images, n_parts, targets) -> None:
    """Dropout included: without batch norm, memory is all that differs."""
    how = {"label_smoothing": 0.1, "lr": 1.0}
    loss, whole = change_of(begin, images, targets, **how)
    loss_in_parts, in_parts = change_of(begin, images, targets, n_parts=n_parts, **how)
    assert norm_of(whole) > 0.1
    assert largest_difference(whole, in_parts) < 1e-5
    assert loss_in_parts.item() == pytest.approx(loss.item(), rel=1e-5)


def test_in_parts_it_is_the_same_images_that_lose_the_same_numbers(begin, images) -> None:
    """Or the test above would pass with dropout of another kind: other seeds are far away."""
    _, one = change_of(begin, images, seed=5, lr=1.0)
    _, other = change_of(begin, images, seed=6, lr=1.0)
    assert largest_difference(one, other) > 1e-3


def test_processes_with_a_part_each_add_up_to_one(begin, images) -> None:
    """Each computes its part of a batch of seven; the mean of their gradients is that of the whole batch."""
    _, whole = change_of(begin, images, lr=1.0)
    changes = []
    for start, stop in ((0, 3), (3, 7)):
        model = copy.deepcopy(begin)
        # In one part: of several, torch's own network that is shared would wait for the others.
        step_of(model, lr=1.0, world_size=2).take(images[start:stop], LABELS[start:stop], seed=5, first=start, n_all=7)
        changes.append({name: each.detach() - begin.get_parameter(name) for name, each in model.named_parameters()})
    mean = {name: (changes[0][name] + changes[1][name]) / 2 for name in whole}
    assert largest_difference(whole, mean) < 1e-5


def test_the_loss_is_summed_over_images_and_learned_from_as_their_mean(begin, images) -> None:
    net = without_dropout(begin)
    loss, change = change_of(net, images, lr=1.0)
    reference = copy.deepcopy(net)
    mean = F.cross_entropy(reference(images), LABELS)
    mean.backward()
    assert loss.item() == pytest.approx(7 * mean.item(), rel=1e-5)
    for name, parameter in reference.named_parameters():
        assert torch.allclose(change[name], -parameter.grad, atol=1e-6), name


def test_more_parts_than_images_learn_all_the_same(begin, images) -> None:
    """The last batch of an epoch may be smaller than the number of parts."""
    _, whole = change_of(begin, images[:2], LABELS[:2], lr=1.0)
    _, in_parts = change_of(begin, images[:2], LABELS[:2], lr=1.0, n_parts=5)
    assert largest_difference(whole, in_parts) < 1e-5


def test_parts_without_images_leave_batch_norm_as_it_is(images) -> None:
    model = AlexNet(NET, norm="batch")
    step_of(model, n_parts=5).take(images[:2], LABELS[:2], seed=0)
    assert int(model.conv1.norm.num_batches_tracked) == 1, "no part of a single image"
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def test_gradients_do_not_pile_up_over_steps(begin, images) -> None:
    model = copy.deepcopy(begin)
    step = step_of(model, n_parts=2)
    step.take(images, LABELS, seed=5)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("n_parts", [1, 3])
def test_a_gradient_that_is_too_long_is_shortened(begin, images, n_parts) -> None:
    _, plain = change_of(begin, images, lr=1.0, n_parts=n_parts)
    longest = norm_of(plain) / 4
    _, clipped = change_of(begin, images, lr=1.0, n_parts=n_parts, clip_norm=longest)
    assert norm_of(clipped) == pytest.approx(longest, rel=1e-3)
    # Shortened as a whole: its direction stays.
    assert all(torch.allclose(4 * clipped[name], plain[name], atol=1e-6) for name in plain)


def test_a_gradient_that_is_short_enough_stays_to_the_bit(begin, images) -> None:
    (_, plain), (_, clipped) = (change_of(begin, images, clip_norm=clip_norm) for clip_norm in (0.0, 1e6))
    assert largest_difference(plain, clipped) == 0


def test_weights_that_are_frozen_do_not_count_when_a_gradient_is_shortened(begin, images) -> None:
    model = copy.deepcopy(begin)
    model.conv1.requires_grad_(False)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=1.0)
    step = step_of(model)
    step = Step(network=model, optimizer=optimizer, runtime=step.runtime, recipe=replace(MODERN, clip_norm=0.01))
    step.take(images, LABELS, seed=5)
    change = {name: each.detach() - begin.get_parameter(name) for name, each in model.named_parameters()}
    assert norm_of(change) == pytest.approx(0.01, rel=1e-3)
    assert change["conv1.conv.weight"].abs().max() == 0


def without_dropout(begin: AlexNet) -> AlexNet:
    net = AlexNet(replace(NET, dropout=0.0))
    net.load_state_dict(begin.state_dict())
    return net


def test_classes_count_by_their_weights(begin, images) -> None:
    net = without_dropout(begin)
    weights = torch.tensor([0.5, 1.0, 3.0])
    loss, change = change_of(net, images, lr=1.0, class_weights=weights)
    reference = copy.deepcopy(net)
    each = F.cross_entropy(reference(images), LABELS, reduction="none")
    (weights[LABELS] * each).mean().backward()
    assert loss.item() == pytest.approx((weights[LABELS] * each).sum().item(), rel=1e-5)
    for name, parameter in reference.named_parameters():
        assert torch.allclose(change[name], -parameter.grad, atol=1e-6), name


def test_a_class_of_weight_zero_teaches_nothing(begin, images) -> None:
    weights = torch.tensor([1.0, 1.0, 0.0])
    net = without_dropout(begin)
    loss, change = change_of(net, images[LABELS == 2], LABELS[LABELS == 2], class_weights=weights)
    assert loss.item() == 0
    assert norm_of(change) == 0


def test_classes_count_by_their_weights_in_mixed_images_too(begin, images) -> None:
    net = without_dropout(begin)
    weights = torch.tensor([0.5, 1.0, 3.0])
    whole, _ = change_of(net, images, LABELS, class_weights=weights)
    one_hot, _ = change_of(net, images, F.one_hot(LABELS, 3).float(), class_weights=weights)
    assert one_hot.item() == pytest.approx(whole.item(), rel=1e-5)
    mixed, _ = change_of(net, images, SHARES, class_weights=weights)
    by_hand = -(weights * SHARES * net(images).log_softmax(dim=1)).sum()
    assert mixed.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_label_smoothing_spreads_a_share_over_all_classes(begin, images) -> None:
    net = without_dropout(begin)
    spread = F.one_hot(LABELS, 3) * 0.7 + 0.3 / 3
    smoothed, change = change_of(net, images, LABELS, label_smoothing=0.3)
    by_hand, same_change = change_of(net, images, spread)
    plain, _ = change_of(net, images, LABELS)
    assert smoothed.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert largest_difference(change, same_change) < 1e-6
    assert smoothed.item() != pytest.approx(plain.item(), rel=1e-4)


def test_smoothing_mixed_labels_spreads_them_too(begin, images) -> None:
    net = without_dropout(begin)
    smoothed, _ = change_of(net, images, SHARES, label_smoothing=0.3)
    by_hand, _ = change_of(net, images, SHARES * 0.7 + 0.3 / 3)
    assert smoothed.item() == pytest.approx(by_hand.item(), rel=1e-5)
