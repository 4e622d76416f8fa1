"""The runs that the clone has: the page on the paper and the experiments' first lines say what they say."""

import pytest

from alexnet.reproduction.findings.page import PAGE, effect_text, write_page
from alexnet.reproduction.findings.stored import outcome, runs_of
from alexnet.reproduction.plan.catalogue import ROOT, load_experiments
from alexnet.reproduction.running.results import Results

EXPERIMENTS = load_experiments()
RESULTS = ROOT / "experiments" / "results"


def test_the_page_is_that_of_the_stored_runs(tmp_path) -> None:
    page = write_page(list(EXPERIMENTS.values()), RESULTS, tmp_path, ("gpu", "cpu"))
    assert page.read_text(encoding="utf-8") == (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    drawn = {path.name for path in (tmp_path / "images" / "paper").iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs" / "images" / "paper").iterdir()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_of_it_has_been_run_on_two_cores(name) -> None:
    experiment = EXPERIMENTS[name]
    runs = runs_of(experiment, Results(RESULTS, "cpu"))
    for arm in experiment.arms["cpu"]:
        assert set(runs[arm.name]) == set(experiment.seeds["cpu"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_first_lines_of_an_experiment_have_its_results(name) -> None:
    experiment = EXPERIMENTS[name]
    text = " ".join((ROOT / "experiments" / f"{name}.py").read_text(encoding="utf-8").split('"""')[1].split())
    result = text.partition("Result: ")[2]
    runs = runs_of(experiment, Results(RESULTS, "cpu"))
    for claim in experiment.claims:
        if (one := outcome(claim, runs)).was_run:
            assert f"{effect_text(one)}: {one.verdict}" in result, claim.says
