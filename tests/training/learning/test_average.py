import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from alexnet import AlexNet, Architecture
from alexnet.training.learning.average import Average


class Number(nn.Module):
    """A network of a single weight, to follow by eye."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))

    def be(self, value: float) -> "Number":
        with torch.no_grad():
            self.weight.fill_(value)
        return self


def averaged(values: list[float], share: float, begin: float = 0.0) -> list[float]:
    """The averaged weight after each of equal steps at which the weight was one of ``values``."""
    number = Number(begin)
    average = Average(number, share)
    found = []
    for step, value in enumerate(values):
        average.update(number.be(value), step / len(values), (step + 1) / len(values))
        found.append(average.model.weight.item())
    return found


@pytest.mark.parametrize("share", [0.04, 0.1])
def test_the_random_beginning_is_forgotten_at_once(share) -> None:
    (first, *_) = averaged([1.0] * 10, share, begin=1e3)
    assert first == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("share", [0.04, 0.5, 0.99])
def test_weights_that_stay_are_their_own_mean_to_the_bit(share) -> None:
    value = float(torch.tensor(1 / 3))
    assert averaged([value] * 50, share, begin=value) == [value] * 50


def test_it_follows_late_and_smoothly() -> None:
    rising = averaged([step / 1000 for step in range(1000)], 0.04)
    # An exponential mean over 4% of the way so far lags behind by about 4% of it.
    assert rising[-1] == pytest.approx(1 - 0.04, abs=0.005)
    assert rising[499] == pytest.approx(0.5 * (1 - 0.04), abs=0.005)
    zigzag = averaged([step % 2 for step in range(1000)], 0.04)
    assert zigzag[-1] == pytest.approx(0.5, abs=0.02), "what goes to and fro is averaged out"


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0.01, 0.3), changed=st.floats(0.2, 0.9), since=st.floats(1.05, 1.5))
def test_what_was_before_is_forgotten_by_the_share_of_training_done(share, changed, since) -> None:
    """Not by a number of steps: the weight of all before ``changed`` is ``(changed / now) ** (1 / share)``."""
    now = min(1.0, changed * since)
    number = Number(1.0)
    average = Average(number, share)
    average.update(number, 0.0, changed)
    n_steps = 20
    for step in range(n_steps):
        before, after = (changed + (now - changed) * (step + each) / n_steps for each in (0, 1))
        average.update(number.be(0.0), before, after)
    assert average.model.weight.item() == pytest.approx((changed / now) ** (1 / share), rel=0.3, abs=1e-3)


def test_a_step_change_is_mostly_forgotten_after_one_share_and_gone_after_several() -> None:
    values = averaged([1.0] * 500 + [0.0] * 500, 0.04)
    one_share = round(500 * 1.04)
    assert values[one_share] == pytest.approx(math.exp(-1), abs=0.05)
    assert values[499] == pytest.approx(1.0)
    assert values[-1] < 1e-6


def test_the_same_share_suits_few_steps_and_many() -> None:
    few, many = (averaged([1.0] * (n // 2) + [0.0] * (n // 20), 0.2)[-1] for n in (200, 2000))
    assert 0.1 < few < 0.9
    assert few == pytest.approx(many, abs=0.02)


NET = Architecture(hidden=(16,), n_classes=2, image_size=67)


def test_what_is_counted_is_copied_and_what_is_measured_is_averaged() -> None:
    model = AlexNet(NET)
    average = Average(model, 0.5)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 3, 67, 67))
    assert int(model.conv1.norm.num_batches_tracked) == 3
    average.update(model, 0.5, 0.6)
    kept = average.model.conv1.norm
    assert int(kept.num_batches_tracked) == 3
    weight = 1 - math.exp(-0.1 / (0.5 * 0.6))
    assert torch.allclose(kept.running_mean, weight * model.conv1.norm.running_mean)
    assert torch.allclose(kept.running_var, 1 + weight * (model.conv1.norm.running_var - 1))


def test_memory_stays_channels_last_so_that_evaluation_is_fast() -> None:
    model = AlexNet(NET).to(memory_format=torch.channels_last)
    average = Average(model, 0.1)
    average.update(model, 0.0, 0.1)
    strides = [[each.stride() for each in network.parameters() if each.ndim == 4] for network in (model, average.model)]
    assert strides[0] == strides[1]
    assert all(
        each.is_contiguous(memory_format=torch.channels_last) for each in average.model.parameters() if each.ndim == 4
    )


def test_the_network_itself_is_left_alone() -> None:
    model = AlexNet(NET).train()
    before = copy.deepcopy(model.state_dict())
    average = Average(model, 0.1)
    with torch.no_grad():
        average.model.conv1.conv.weight.zero_()
    average.update(model, 0.0, 0.1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert not any(module.training for module in average.model.modules()), "it is only evaluated"
    assert all(each.grad is None for each in average.model.parameters())
