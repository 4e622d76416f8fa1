import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.network.value.changes import resolve
from alexnet.training.choices.recipes import MODERN
from alexnet.training.plan import Plan, Timing, fitting_sizes


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def plan_of(**changes) -> Plan:
    timing = Timing({128: 0.005}, overhead=1.0)
    return Plan(**{"recipe": MODERN, "architecture": resolve(n_classes=3), "n_examples": 640, "n_epochs": 10,
                   "timing": timing, **changes})  # fmt: skip


def walk(plan: Plan, clock=None, slowdown: float = 1.0) -> list:
    """Follow a plan to its end; with a clock, let each epoch take its time."""
    progress, epochs = 0.0, []
    while progress < 1:
        planned = plan.next_epoch(progress, len(epochs))
        epochs.append(planned)
        progress = planned.stop
        if clock:
            share = planned.n_steps / plan.n_steps
            clock.now += (share * plan.n_examples * plan.seconds_per_image(planned.size) + 1) * slowdown
            plan.timing.seconds[planned.size] = plan.seconds_per_image(planned.size) * (
                slowdown if planned.size not in walk.seen else 1
            )
            walk.seen.add(planned.size)
    return epochs


def test_a_number_of_epochs_is_that_many_equal_parts() -> None:
    epochs = walk(plan_of())
    assert len(epochs) == 10
    assert all(planned.n_steps == 10 for planned in epochs)
    assert epochs[-1].stop == 1
    assert [planned.stop - planned.start for planned in epochs] == pytest.approx([0.1] * 10)
    assert [planned.size for planned in epochs] == [131] * 6 + [163] * 2 + [224] * 2


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
def test_the_last_epoch_is_at_the_size_of_use(n_epochs) -> None:
    assert walk(plan_of(n_epochs=n_epochs))[-1].size == 224


@pytest.mark.parametrize("limit", [60, 200, 1000])
def test_a_time_limit_is_used_and_kept(clock, limit) -> None:
    walk.seen = set()
    epochs = walk(plan_of(n_epochs=999, deadline=clock.now + limit), clock)
    assert epochs[-1].stop == 1
    assert 1000 + 0.85 * limit < clock.now < 1000 + 1.02 * limit


def test_a_machine_that_slows_down_gets_fewer_epochs(clock) -> None:
    walk.seen = set()
    n_usual = len(walk(plan_of(n_epochs=999, deadline=clock.now + 300), clock))
    walk.seen, began = set(), clock.now
    epochs = walk(plan_of(n_epochs=999, deadline=began + 300), clock, slowdown=2.0)
    assert len(epochs) < n_usual
    assert epochs[-1].stop == 1
    assert clock.now - began < 1.15 * 300


def test_less_than_an_epoch_of_time_is_part_of_an_epoch(clock) -> None:
    (planned,) = walk(plan_of(n_epochs=999, deadline=clock.now + 1.0))
    assert 1 <= planned.n_steps < 10
    assert planned.size == 224


@given(st.floats(0, 1), st.integers(67, 400))
def test_no_size_is_too_small(progress, size) -> None:
    plan = plan_of(architecture=resolve(n_classes=3, image_size=size))
    assert 67 <= plan.size_at(progress) <= size


def test_time_of_other_sizes_follows_from_the_multiply_adds() -> None:
    plan = plan_of()
    assert plan.seconds_per_image(128) == 0.005
    assert 2.5 < plan.seconds_per_image(224) / 0.005 < 4.5


def test_sizes_below_the_final_one_are_those_at_which_every_window_fits() -> None:
    assert fitting_sizes(resolve("batchnorm")) == [67, 99, 131, 163, 195]
    assert fitting_sizes(resolve("small")) == [15, 23, 31]
    assert fitting_sizes(resolve("batchnorm", image_size=67)) == []
    # In between, the last map stays as large.
    for variant, sizes in (("batchnorm", range(67, 99)), ("small", range(23, 31))):
        networks = [resolve(variant, image_size=size) for size in sizes]
        last_maps = {[op.shape for op in net.operations() if op.kind == "MaxPool"][-1] for net in networks}
        assert len(last_maps) == 1
