import pytest

from alexnet.reporting.facts import Missing, known, sample

from .made_up import outputs_of


def test_what_is_missing_is_raised_where_it_is_needed() -> None:
    assert known(3) == 3
    with pytest.raises(Missing, match="no data"):
        known(Missing("no data"))


@pytest.mark.parametrize("n_images", [1, 2, 3, 8, 9, 1000])
def test_a_sample_is_spread_over_all_images(n_images) -> None:
    outputs = outputs_of(3, n_images)
    names = sample(outputs, 8)
    places = [outputs.names.index(name) for name in names]
    assert places == sorted(set(places))
    assert 1 <= len(places) <= 8
    if n_images == 1000:
        assert len(places) == 8
        assert max(places) - min(places) > 700
