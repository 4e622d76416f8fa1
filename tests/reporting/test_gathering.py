import json
import shutil
from dataclasses import fields

import numpy as np
import pytest

from alexnet import train
from alexnet.errors import ArtifactError, DataError, RunError
from alexnet.reporting.facts import Facts, Missing, known
from alexnet.reporting.gathering import N_HEAT_MAPS, attempt, gather, heat_map_choice
from alexnet.training.choices.settings import Settings

from ..conftest import make_image_folder
from .made_up import outputs_of


def missing(facts: Facts) -> dict[str, str]:
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return {name: str(value) for name, value in values.items() if isinstance(value, Missing)}


def test_of_a_finished_run_everything_is_known(run, image_folder) -> None:
    facts = gather(run)
    assert missing(facts) == {}
    result = known(facts.evaluation)
    assert (result.split, result.scores.n_images) == ("test", 12)
    assert len(known(facts.history)) == 6
    data = known(facts.data)
    assert {label: counts["train"] for label, counts in data.counts.items()} == {"blue": 32, "green": 32, "red": 32}
    assert data.missing is None
    images = known(facts.images)
    name = facts.outputs.names[0]
    assert images.file(name) == image_folder / name
    side = facts.artifact.preprocessing.store_size
    assert images.pixels(name).shape == (side, side, 3)
    assert len(known(facts.heat_maps)) == N_HEAT_MAPS
    for each in known(facts.neighbours):
        assert each.name in facts.outputs.names
        assert len(each.nearest) >= 3
        for path, label in each.nearest:
            images.pixels(path)
            assert path.startswith(label)


def test_where_the_data_is_gone_the_rest_is_still_known(run, tmp_path) -> None:
    settings = json.loads((run / "settings.json").read_text())
    settings["data"] = str(tmp_path / "moved away")
    (run / "settings.json").write_text(json.dumps(settings))
    facts = gather(run)
    lacks = missing(facts)
    assert set(lacks) >= {"evaluation", "images", "heat_maps", "neighbours"}
    assert all("moved away" in reason for reason in lacks.values())
    assert not set(lacks) & {"history", "settings", "kernels", "foreign", "data"}
    data = known(facts.data)
    assert sum(sum(counts.values()) for counts in data.counts.values()) == 120, "splits.csv knows them"
    assert "moved away" in str(data.missing)


def test_without_test_images_it_is_evaluated_on_val(tmp_path) -> None:
    for split, first in (("train", 0), ("val", 100)):
        make_image_folder(tmp_path / "images" / split, n_each=4, first=first)
    settings = Settings(variant="batchnorm", epochs=1, image_size=67, batch_size=12, width=0.125, hidden=(8,))
    run = train(tmp_path / "images", out=tmp_path / "run", settings=settings, verbose=False)
    result = known(gather(run.folder).evaluation)
    assert (result.split, result.scores.n_images) == ("val", 12)


def test_a_folder_that_is_no_finished_run_is_refused(run, tmp_path) -> None:
    with pytest.raises(RunError, match="no run at"):
        gather(tmp_path / "nowhere")
    shutil.rmtree(run / "model")
    with pytest.raises(ArtifactError, match="unfinished"):
        gather(run)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError("the images are gone"), "the images are gone"),
        (Missing("not evaluated"), "not evaluated"),
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ZeroDivisionError("division by zero"), "an error in alexnet: ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_made_says_why(error, words) -> None:
    def fail() -> int:
        raise error

    found = attempt(fail)
    assert isinstance(found, Missing)
    assert words in str(found)
    assert attempt(lambda: 3) == 3


def test_heat_maps_are_of_the_worst_mistakes_and_of_others() -> None:
    outputs = outputs_of(5, 200)
    chosen = heat_map_choice(outputs)
    assert len(chosen) == len(set(chosen)) == N_HEAT_MAPS
    numbers = [outputs.names.index(name) for name in chosen[: N_HEAT_MAPS // 2]]
    assert not outputs.is_right[numbers].any()
    assert outputs.own[numbers].max() <= np.sort(outputs.own[~outputs.is_right])[N_HEAT_MAPS // 2 - 1]
    perfect = outputs_of(5, 200, skill=np.inf)
    assert len(heat_map_choice(perfect)) == N_HEAT_MAPS
