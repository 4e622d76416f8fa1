from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from alexnet import AlexNet, Architecture
from alexnet.network.module.dropout import Dropout


def dropped(
    p: float, inputs: torch.Tensor, *, seed: int = 0, first: int = 0, n_all: int = 0, training: bool = True
) -> torch.Tensor:
    layer = Dropout(p).train(training)
    layer.first, layer.n_all = first, n_all
    torch.manual_seed(seed)
    return layer(inputs)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_a_share_is_dropped_and_the_rest_scaled_so_that_the_mean_stays(p) -> None:
    """The paper, section 4.2."""
    outputs = dropped(p, torch.full((200, 1000), 3.0))
    assert float((outputs == 0).float().mean()) == pytest.approx(p, abs=0.01)
    assert torch.allclose(outputs[outputs != 0], torch.tensor(3 / (1 - p)))
    assert float(outputs.mean()) == pytest.approx(3, rel=0.02)


def test_images_and_numbers_are_dropped_independently() -> None:
    outputs = dropped(0.5, torch.ones(100, 500))
    by_image, by_number = (outputs == 0).float().mean(dim=1), (outputs == 0).float().mean(dim=0)
    assert 0.35 < by_image.min() < by_image.max() < 0.65
    assert 0.2 < by_number.min() < by_number.max() < 0.8


def test_evaluation_drops_nothing() -> None:
    inputs = torch.randn(4, 50)
    assert torch.equal(dropped(0.5, inputs, training=False), inputs)
    assert torch.equal(dropped(0.5, inputs, training=False, first=2, n_all=6), inputs)


def test_a_share_of_zero_drops_nothing_and_draws_nothing() -> None:
    inputs = torch.randn(4, 50)
    outputs = dropped(0.0, inputs)
    drawn_next = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(outputs, inputs)
    assert torch.equal(drawn_next, torch.rand(3))


def test_what_is_dropped_follows_from_torchs_seed() -> None:
    inputs = torch.ones(8, 200)
    assert torch.equal(dropped(0.5, inputs, seed=3), dropped(0.5, inputs, seed=3))
    assert not torch.equal(dropped(0.5, inputs, seed=3), dropped(0.5, inputs, seed=4))
    layer = Dropout(0.5)
    assert not torch.equal(layer(inputs), layer(inputs)), "every step drops others"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.data())
def test_parts_of_a_batch_drop_the_same_as_the_whole(n, data) -> None:
    inputs = torch.randn(n, 20)
    whole = dropped(0.5, inputs, seed=7)
    bounds = [0, *sorted(data.draw(st.lists(st.integers(0, n), max_size=3))), n]
    parts = [dropped(0.5, inputs[start:stop], seed=7, first=start, n_all=n) for start, stop in pairwise(bounds)]
    assert torch.equal(torch.cat(parts), whole)


def test_gradients_flow_through_what_is_kept_alone() -> None:
    inputs = torch.ones(4, 100, requires_grad=True)
    outputs = dropped(0.25, inputs)
    outputs.sum().backward()
    assert torch.equal(inputs.grad, outputs.detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_dtype_is_kept(dtype) -> None:
    outputs = dropped(0.5, torch.ones(4, 100, dtype=dtype))
    assert outputs.dtype == dtype
    assert set(outputs.unique().tolist()) == {0.0, 2.0}


def test_the_network_drops_before_its_hidden_layers() -> None:
    model = AlexNet(Architecture(hidden=(16, 8), n_classes=2, image_size=67, dropout=0.3))
    shares = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}
    assert shares == {"fc6.dropout": 0.3, "fc7.dropout": 0.3}
    assert all(isinstance(model.get_submodule(name), Dropout) for name in shares)
