import json
import shutil
from dataclasses import replace

import pytest

from alexnet.errors import RunError
from alexnet.reproduction.running.results import Results, settings_digest
from alexnet.training.choices.recipes import ARTICLE, RECIPES

from .made_up import IMAGES, arm, run


def test_a_run_is_found_by_its_settings_and_seed(tmp_path) -> None:
    results = Results(tmp_path, "cpu")
    results.write("relu", arm("with"), 3, IMAGES, run(0.25))
    found = results.find("relu", arm("with"), 3, IMAGES)
    assert found is not None
    assert (found["figures"]["test_error"], found["arm"], found["seed"]) == (0.25, "with", 3)
    assert results.path("relu", "with", 3) == tmp_path / "cpu" / "relu" / "with-3.json"
    assert results.find("relu", arm("with"), 4, IMAGES) is None
    assert results.find("relu", arm("with", epochs=2), 3, IMAGES) is None  # other settings: it is run again
    assert results.find("relu", arm("with"), 3, "set:other") is None  # other images of the same name
    assert Results(tmp_path, "gpu").find("relu", arm("with"), 3, IMAGES) is None


def test_the_same_run_of_another_experiment_is_taken_over(tmp_path) -> None:
    results = Results(tmp_path, "cpu")
    results.write("norm", arm("original"), 0, IMAGES, run(0.25))
    found = results.find("pools", arm("overlapping"), 0, IMAGES)
    assert found is not None
    assert (found["experiment"], found["arm"], found["same_as"]) == ("pools", "overlapping", "norm/original-0")
    shutil.rmtree(tmp_path / "cpu" / "norm")
    assert results.find("pools", arm("overlapping"), 0, IMAGES) is not None  # stored, not only referred to


def test_names_and_words_do_not_decide_a_run() -> None:
    assert settings_digest(arm("one"), 0, IMAGES) == settings_digest(arm("other"), 0, IMAGES)
    assert settings_digest(arm("one"), 0, IMAGES) != settings_digest(arm("one"), 1, IMAGES)
    assert settings_digest(arm("one"), 0, IMAGES) != settings_digest(arm("one", lr=0.1), 0, IMAGES)


def test_a_recipe_that_has_changed_makes_another_run(monkeypatch) -> None:
    before = settings_digest(arm("one"), 0, IMAGES)
    assert settings_digest(arm("one"), 0, IMAGES) == before
    monkeypatch.setitem(RECIPES, "article", replace(ARTICLE, momentum=0.5))
    assert settings_digest(arm("one"), 0, IMAGES) != before


@pytest.mark.parametrize("text", ["{", json.dumps({"figures": {}})])
def test_a_damaged_result_is_named(tmp_path, text) -> None:
    results = Results(tmp_path, "cpu")
    results.write("relu", arm("with"), 0, IMAGES, run())
    results.path("relu", "with", 0).write_text(text)
    with pytest.raises(RunError, match=r"with-0\.json.*delete it to run it again"):
        results.find("relu", arm("with"), 0, IMAGES)
