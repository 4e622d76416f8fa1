"""The dictionary of tensors, at any depth of a checkpoint."""

import shlex
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import ArtifactError
from alexnet.pretrained.state_dict import find_tensors


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def weights(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return network().state_dict()


def trained(optimizer: type[torch.optim.Optimizer]) -> dict[str, object]:
    """Return an optimizer's state after a step: it holds tensors as large as the weights."""
    model = network()
    stepper = optimizer(model.parameters(), lr=torch.tensor(0.1))
    model(torch.zeros(2, 3, 4, 4)).sum().backward()
    stepper.step()
    return stepper.state_dict()


W = weights()
CHECKPOINTS = {
    "plain": W,
    "state_dict": {"state_dict": W, "best_top1": torch.tensor(0.3)},
    "any key": {"epoch": 3, "my_net_v2": OrderedDict(W)},
    "deep": {"epoch": 3, "state": {"net": {"weights": W}}},
    "in a list": [3, (W, 0.5)],
    "beside other numbers": {"epoch": 3, "args": {"lr": 0.1}, **W},
    "beside small tensors": {
        "model": W,
        "mean": torch.zeros(3),
        "confusion": torch.zeros(2, 2),
        "rng": [torch.zeros(9)],
    },
    "beside small dictionaries": {"model": W, "classes": {"counts": torch.zeros(2)}},
    "the same twice": {"model": W, "best": {"model": W}},
    "Adam": {"model": W, "optimizer": trained(torch.optim.Adam)},
    "AdamW in a list": {"net": W, "optimizer_states": [trained(torch.optim.AdamW)]},
    "SGD, deep": {"train": {"model": W, "opt": {"sgd": trained(torch.optim.SGD)}}},
    "by name": {"model": W, "optim": {"state": {"0.weight": {"exp_avg": W["0.weight"]}}, "param_groups": []}},
    "scheduler": {"model": W, "scheduler": {"base_lrs": [0.1], "_last_lr": [torch.tensor(0.1)]}},
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_it_is_found_at_any_depth(name) -> None:
    found = find_tensors(CHECKPOINTS[name], "theirs.pth")
    assert {
        key: found.get(key) is not None and torch.equal(found[key], each) for key, each in W.items()
    } == dict.fromkeys(W, True)
    assert found.keys() == W.keys()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"model": W, "model_ema": weights(1)}, ["model", "model_ema"]),
        (
            {"generator": W, "discriminator": weights(1), "opt": trained(torch.optim.Adam)},
            ["generator", "discriminator"],
        ),
        ({"epoch": 3, "state": {"net": W, "ema": weights(1)}}, ["state.net", "state.ema"]),
        ({"folds": [W, weights(1)]}, ["folds.0", "folds.1"]),
        ({1: W, 2: weights(1)}, ["1", "2"]),
        ({"backbone": W, "head": {"weight": torch.zeros(2, 2)}}, ["backbone", "head"]),
        ({"best model": W, "it's": weights(1)}, ["best model", "it's"]),
        ({**W, "momentum": {name: torch.zeros_like(each) for name, each in W.items()}, "epoch": 3}, [".", "momentum"]),
        ({**W, "ema": weights(1)}, [".", "ema"]),
        ({"epoch": 3, "net": {"step": 7, **W, "averaged": weights(1)}}, ["net", "net.averaged"]),
    ],
)
def test_several_are_listed_and_each_can_be_chosen(content, names) -> None:
    with pytest.raises(ArtifactError) as caught:
        find_tensors(content, "theirs.pth")
    listed = ", ".join(map(repr, names))
    assert str(caught.value) == (
        f"'theirs.pth' holds several dictionaries of weights: {listed}; "
        f"choose one, as with --init-key {shlex.quote(names[0])} (key={names[0]!r})"
    )
    found = [find_tensors(content, "theirs.pth", name) for name in names]
    assert torch.equal(found[0]["0.weight"], W["0.weight"])
    assert not torch.equal(next(iter(found[1].values())), W["0.weight"])


@pytest.mark.parametrize(
    ("content", "key"), [({"a.b": W, "a": {"b": weights(1)}}, "a.b"), ({0: W, "0": weights(1)}, "0")]
)
def test_two_under_one_name_are_refused(content, key) -> None:
    with pytest.raises(ArtifactError, match=f"'theirs.pth' holds several dictionaries of weights: '{key}'; choose one"):
        find_tensors(content, "theirs.pth")
    with pytest.raises(ArtifactError, match=f"holds 2 dictionaries of weights under '{key}'; save or give only one"):
        find_tensors(content, "theirs.pth", key)
    content["other"] = weights(2)
    assert torch.equal(find_tensors(content, "theirs.pth", "other")["0.weight"], weights(2)["0.weight"])


def test_the_same_dictionary_twice_counts_once() -> None:
    content = {"a.b": W, "a": {"b": W}}
    assert find_tensors(content, "theirs.pth").keys() == find_tensors(content, "theirs.pth", "a.b").keys() == W.keys()


def test_messages_are_short_however_long_names_are() -> None:
    content = {"a" * 150: W, "b" * 150: weights(1)}
    for key in (None, "a" * 149, "c" * 400):
        with pytest.raises(ArtifactError) as caught:
            find_tensors(content, "theirs.pth", key)
        assert len(str(caught.value)) < 300
    assert find_tensors(content, "theirs.pth", "a" * 150).keys() == W.keys()


def test_long_doubles_become_doubles() -> None:
    arrays = {name: each.numpy().astype(np.longdouble) for name, each in W.items()}
    found = find_tensors(arrays, "theirs.npz")
    assert found["0.weight"].dtype == torch.float64
    assert torch.equal(found["0.weight"].float(), W["0.weight"])


def test_an_unknown_key() -> None:
    several = {"model": W, "ema": weights(1)}
    with pytest.raises(ArtifactError, match="has no dictionary of weights under 'models'; did you mean 'model'"):
        find_tensors(several, "theirs.pth", "models")
    with pytest.raises(ArtifactError, match="under 'model'; there is only one: leave the key out"):
        find_tensors(W, "theirs.pth", "model")
    assert find_tensors({"a": W, "b": W}, "theirs.pth", "b").keys() == W.keys(), "under either of its two names"


@pytest.mark.parametrize(
    "content",
    [
        [1, 2], {}, None, {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(3, 3), [torch.zeros(3, 3)],
        {"mean": torch.zeros(3)}, trained(torch.optim.SGD), {"a": np.array([["x", "y"]])},
    ],
)  # fmt: skip
def test_without_weights_the_error_says_what_to_save(content) -> None:
    with pytest.raises(ArtifactError, match=r"^'theirs.pth' holds no tensors by name; save model\.state_dict\(\)$"):
        find_tensors(content, "theirs.pth")


def test_arrays_become_tensors() -> None:
    arrays = {name: each.numpy()[::-1] for name, each in W.items() if each.ndim}
    found = find_tensors({"net": arrays}, "theirs.npz")
    assert torch.equal(found["0.weight"], W["0.weight"].flip(0))


def test_circular_and_deep_nesting() -> None:
    circle: dict[str, object] = {"model": W}
    circle["itself"] = [circle]
    assert find_tensors(circle, "theirs.pth").keys() == W.keys()
    deep: object = W
    for _ in range(5000):
        deep = {"in": deep}
    assert find_tensors(deep, "theirs.pth").keys() == W.keys()
