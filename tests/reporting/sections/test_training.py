from dataclasses import replace

import pytest

from alexnet.errors import DataError
from alexnet.reporting.sections.training import training

from ..made_up import epochs, facts_of


def test_it_says_how_long_it_took_and_which_epoch_was_best(tmp_path) -> None:
    html = training(facts_of(tmp_path))
    assert "7 epochs in 3.5 minutes" in html
    assert "lowest after epoch 7: 0.314, with top-1 87.5%" in html
    assert "67, 83, 99 px" in html
    assert html.count("<tr>") == 8
    assert '<svg class="chart"' in html


def test_one_size_needs_no_word(tmp_path) -> None:
    html = training(facts_of(tmp_path, history=epochs(67)))
    assert "1 epoch in" in html
    assert "grew" not in html


def test_a_run_without_epochs_has_no_curves(tmp_path) -> None:
    with pytest.raises(DataError, match="no epoch"):
        training(facts_of(tmp_path, history=()))


def test_with_patience_the_epoch_that_was_kept_is_named(tmp_path) -> None:
    facts = facts_of(tmp_path)
    assert "were kept" not in training(facts)
    artifact = replace(facts.artifact, provenance={**facts.artifact.provenance, "epochs": 5})
    assert "The weights of epoch 5 were kept (--patience)." in training(replace(facts, artifact=artifact))
