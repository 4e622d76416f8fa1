"""The image size follows the images and the time limit, and the recipe the passes that fit."""

import json
import time
from dataclasses import replace

import pytest

from alexnet import Settings
from alexnet.data.store.store import with_room
from alexnet.network.value.changes import resolve
from alexnet.training import sizing
from alexnet.training.choices.recipes import MODERN, PAPER, RECIPES
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import detect
from alexnet.training.plan import Plan
from alexnet.training.session import Session

NOW = 1000.0
LARGE_STORE = 256
# A tenth of a second per epoch for validation; seconds per multiply-add of an image.
SPEED, OVERHEAD = 1e-12, 0.1
# What the table in docs/training.md promises: image size, and how many epochs must fit.
PROMISED = [(224, 20), (195, 20), (163, 20), (131, 20), (99, 4), (67, 0)]


@pytest.fixture(autouse=True)
def timed(monkeypatch) -> list[int]:
    """A machine whose speed is known, at a moment that stays; the sizes that were timed."""
    sizes: list[int] = []

    def time_steps(plan: Plan, *_) -> None:
        size = plan.size_at(0.0)
        sizes.append(size)
        plan.timing.seconds[size] = seconds_per_image(plan, size)
        plan.timing.overhead = OVERHEAD

    monkeypatch.setattr(sizing, "time_steps", time_steps)
    monkeypatch.setattr(time, "monotonic", lambda: NOW)
    return sizes


def seconds_per_image(plan: Plan, size: int) -> float:
    return SPEED * replace(plan.architecture, image_size=size).n_mult_adds


def plan_of(variant: str = "batchnorm", limit: float | None = None, **given) -> Plan:
    """The plan of ``alexnet train`` with some options, before an image size is chosen."""
    settings = Settings(
        variant=None if "architecture" in given else variant, time_limit="1h" if limit else None, **given
    )
    recipe = settings.resolved_recipe
    net = settings.network(n_classes=3, in_channels=3, image_size=recipe.image_size)
    deadline = None if limit is None else NOW + limit
    return Plan(recipe=recipe, architecture=net, n_examples=1600, n_epochs=settings.n_epochs(), deadline=deadline)


def chosen(plan: Plan, image_size: int | None = None, store_size: int = LARGE_STORE) -> Plan:
    return sizing.choose_image_size(plan, image_size, store_size, detect("cpu", "fp32"), Group(), 1)


def seconds_for(n_epochs: float, size: int, variant: str = "batchnorm") -> float:
    """How long epochs take that end at a size: three fifths at 4/7 of it, a fifth at 5/7."""
    plan = plan_of(variant)
    plan = replace(plan, architecture=replace(plan.architecture, image_size=size))
    shares = {0.3: 0.6, 0.7: 0.2, 0.9: 0.2}  # by a progress in each part
    mean = sum(share * seconds_per_image(plan, plan.size_at(progress)) for progress, share in shares.items())
    return n_epochs * (1600 * mean + OVERHEAD)


@pytest.mark.parametrize(("size", "least"), PROMISED[:-1])
def test_the_largest_size_is_chosen_at_which_enough_epochs_fit(size, least, timed) -> None:
    smaller = next(each for each, _ in PROMISED if each < size)
    assert chosen(plan_of(limit=seconds_for(least * 1.01, size))).architecture.image_size == size
    assert chosen(plan_of(limit=seconds_for(least * 0.99, size))).architecture.image_size == smaller
    assert len(timed) == 2, "one size is measured, and the others follow from it"


def test_more_time_never_means_smaller_images() -> None:
    sizes = [
        chosen(plan_of(limit=limit)).architecture.image_size for limit in (0.01, 0.5, 1, 1.5, 2, 2.5, 3, 5, 10, 1e3)
    ]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (67, 224)
    assert len(set(sizes)) > 3


def test_without_a_time_limit_nothing_is_timed_and_the_size_is_the_networks(timed) -> None:
    assert chosen(plan_of()).architecture.image_size == 224
    assert chosen(plan_of("small")).architecture.image_size == 32
    assert chosen(plan_of("small"), store_size=with_room(64)).architecture.image_size == 64
    assert chosen(plan_of("small"), store_size=with_room(40)).architecture.image_size == 40
    assert chosen(plan_of(recipe="article")).architecture.image_size == 227
    assert not timed


@pytest.mark.parametrize("limit", [None, 0.01, 1e5])
@pytest.mark.parametrize("size", [67, 150, 300])
def test_a_size_that_is_given_stays(limit, size) -> None:
    assert chosen(plan_of(limit=limit, image_size=size), size).architecture.image_size == size


@pytest.mark.parametrize("limit", [None, 1e5])
def test_small_images_are_not_enlarged_beyond_131_pixels(limit) -> None:
    assert chosen(plan_of(limit=limit), store_size=with_room(131) - 1).architecture.image_size == 131
    assert chosen(plan_of(limit=limit), store_size=with_room(131)).architecture.image_size == 224


@pytest.mark.parametrize(("size", "least", "smaller"), [(47, 30, 39), (39, 12, 32)])
def test_networks_for_small_images_enlarge_them_where_there_is_time(size, least, smaller) -> None:
    more, less = (seconds_for(times * least, size, "small") for times in (1.01, 0.99))
    assert chosen(plan_of("small", more), store_size=with_room(32)).architecture.image_size == size
    assert chosen(plan_of("small", less), store_size=with_room(32)).architecture.image_size == smaller
    # Smaller images are enlarged to 32 px already.
    assert chosen(plan_of("small", 1e5), store_size=with_room(32) - 1).architecture.image_size == 32


def test_epochs_that_are_given_and_fit_are_trained_as_without_a_time_limit() -> None:
    enough, short = (seconds_for(times * 10, 224) for times in (1.01, 0.99))
    assert chosen(plan_of(limit=enough, epochs=10)).architecture == chosen(plan_of(epochs=10)).architecture
    assert chosen(plan_of(limit=short, epochs=10)).architecture.image_size == 195
    assert chosen(plan_of("small", 1e5, epochs=10), store_size=37).architecture.image_size == 32


@pytest.mark.parametrize(("n", "dropout", "area"), [(19.8, 0.0, (0.6, 1.0)), (20.2, 0.2, (0.35, 1.0))])
def test_the_recipe_is_that_for_the_passes_that_fit(n, dropout, area) -> None:
    plan = chosen(plan_of(limit=seconds_for(n, 99)))
    assert plan.architecture.image_size == 99
    assert (plan.recipe.dropout, plan.architecture.dropout) == (dropout, dropout)
    assert plan.recipe.augmentation.area == area
    assert plan.recipe.few_passes is None


@pytest.mark.parametrize(("epochs", "dropout"), [(19, 0.0), (20, 0.2)])
@pytest.mark.parametrize("limit", [None, 1e5])
def test_no_more_passes_count_than_there_are_epochs(epochs, dropout, limit) -> None:
    assert chosen(plan_of(limit=limit, epochs=epochs)).architecture.dropout == dropout


@pytest.mark.parametrize("limit", [None, 1.0, 1e5])
@pytest.mark.parametrize(
    ("given", "dropout"),
    [
        ({"dropout": 0.3}, 0.3),
        ({"dropout": 0.0}, 0.0),
        ({"architecture": json.dumps({"hidden": [8], "dropout": 0.4})}, 0.4),
        ({"architecture": json.dumps({"hidden": [8], "dropout": 0.4}), "dropout": 0.1}, 0.1),
    ],
    ids=str,
)
def test_dropout_that_is_given_stays_whatever_the_passes(given, dropout, limit) -> None:
    assert chosen(plan_of(limit=limit, **given)).architecture.dropout == dropout


@pytest.mark.parametrize("limit", [None, 0.01, 1e5])
def test_published_recipes_have_the_networks_dropout(limit) -> None:
    plan = chosen(plan_of("paper", limit, recipe="paper"))
    assert plan.recipe == PAPER
    assert plan.architecture.dropout == resolve("paper").dropout == 0.5


@pytest.mark.parametrize("n_passes", [3, 30])
def test_a_resumed_plan_keeps_size_and_recipe(n_passes) -> None:
    begun = chosen(plan_of(limit=seconds_for(n_passes, 99)))
    size = begun.architecture.image_size
    for limit in (None, 0.01, 1e5):
        deadline = None if limit is None else NOW + limit
        again = chosen(replace(begun, deadline=deadline), size)
        assert (again.recipe, again.architecture) == (begun.recipe, begun.architecture)


def test_a_resumed_run_keeps_the_recipe_for_few_passes(image_folder, tmp_path, monkeypatch) -> None:
    settings = Settings(variant="batchnorm", epochs=2, image_size=67, batch_size=32)
    session = Session.start(image_folder, tmp_path / "run", settings)
    saved = json.loads((tmp_path / "run" / "settings.json").read_text())["resolved"]
    assert saved["recipe"]["dropout"] == saved["architecture"]["dropout"] == 0.0
    assert saved["recipe"]["augmentation"]["area"] == [0.6, 1.0]
    session.save()
    other = replace(MODERN, few_passes=None, dropout=0.7)  # that of a later version
    monkeypatch.setitem(RECIPES, "modern", other)
    resumed = Session.resume(tmp_path / "run").training.plan
    assert (resumed.recipe, resumed.architecture) == (session.training.plan.recipe, session.training.plan.architecture)


def test_every_recipe_plans_for_any_time() -> None:
    for name in RECIPES:
        plan = chosen(plan_of(limit=1e-9, recipe=name), RECIPES[name].image_size)
        assert plan.next_epoch(0.0, 0).stop == 1
