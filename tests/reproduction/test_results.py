import json
import shutil

import pytest

from alexnet.errors import RunError
from alexnet.reproduction.running.results import Results, settings_digest

from .made_up import arm, run


def test_a_run_is_found_by_its_settings_and_seed(tmp_path) -> None:
    results = Results(tmp_path, "cpu")
    results.write("relu", arm("with"), 3, run(0.25))
    found = results.find("relu", arm("with"), 3)
    assert found is not None
    assert (found["figures"]["test_error"], found["arm"], found["seed"]) == (0.25, "with", 3)
    assert results.path("relu", "with", 3) == tmp_path / "cpu" / "relu" / "with-3.json"
    assert results.find("relu", arm("with"), 4) is None
    assert results.find("relu", arm("with", epochs=2), 3) is None  # other settings: it is run again
    assert Results(tmp_path, "gpu").find("relu", arm("with"), 3) is None


def test_the_same_run_of_another_experiment_is_taken_over(tmp_path) -> None:
    results = Results(tmp_path, "cpu")
    results.write("norm", arm("original"), 0, run(0.25))
    found = results.find("pools", arm("overlapping"), 0)
    assert found is not None
    assert (found["experiment"], found["arm"], found["same_as"]) == ("pools", "overlapping", "norm/original-0")
    shutil.rmtree(tmp_path / "cpu" / "norm")
    assert results.find("pools", arm("overlapping"), 0) is not None  # stored, not only referred to


def test_names_and_words_do_not_decide_a_run() -> None:
    assert settings_digest(arm("one"), 0) == settings_digest(arm("other"), 0)
    assert settings_digest(arm("one"), 0) != settings_digest(arm("one"), 1)
    assert settings_digest(arm("one"), 0) != settings_digest(arm("one", lr=0.1), 0)


@pytest.mark.parametrize("text", ["{", json.dumps({"figures": {}})])
def test_a_damaged_result_is_named(tmp_path, text) -> None:
    results = Results(tmp_path, "cpu")
    results.write("relu", arm("with"), 0, run())
    results.path("relu", "with", 0).write_text(text)
    with pytest.raises(RunError, match=r"with-0\.json.*delete it to run it again"):
        results.find("relu", arm("with"), 0)
