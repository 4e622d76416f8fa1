import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.fingerprint import Fingerprint, SeenImages


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


@given(st.sets(st.integers()), st.sets(st.integers()))
def test_it_contains_what_was_seen_and_nothing_else(seen, others) -> None:
    fingerprint = Fingerprint.of(map(digest, seen))
    assert Fingerprint.from_text(fingerprint.to_text()) == fingerprint
    assert {number for number in seen | others if digest(number) in fingerprint} == seen
    assert fingerprint | Fingerprint.of(map(digest, others)) == Fingerprint.of(map(digest, seen | others))


def test_it_takes_eight_characters_an_image() -> None:
    assert len(Fingerprint.of(map(digest, range(1000))).to_text()) == 8000


@pytest.mark.parametrize("text", ["AAAA", "not base64!", None, 7])
def test_other_texts_are_refused(text) -> None:
    with pytest.raises(ValueError, match="not a fingerprint"):
        Fingerprint.from_text(text)


def test_seen_images_of_two_networks_are_joined() -> None:
    one = SeenImages(train=Fingerprint.of([digest(1)]), val=Fingerprint.of([digest(2)]))
    both = one | SeenImages(train=Fingerprint.of([digest(3)]), is_all=False)
    assert (digest(1) in both.train, digest(3) in both.train, digest(2) in both.val) == (True, True, True)
    assert (one.is_all, both.is_all) == (True, False)
    assert SeenImages.from_json(both.to_json()) == both


@pytest.mark.parametrize("saved", [None, [], {}, {"train": "", "val": ""}, {"train": "", "val": 3, "is_all": True}])
def test_other_json_is_refused(saved) -> None:
    with pytest.raises(ValueError, match="not"):
        SeenImages.from_json(saved)
