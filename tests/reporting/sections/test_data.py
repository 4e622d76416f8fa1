from dataclasses import replace

from alexnet.data.findings import Finding
from alexnet.reporting.facts import Data, Missing, known
from alexnet.reporting.sections.data import data

from ..made_up import facts_of

COUNTS = {"cat": {"train": 70, "val": 9, "test": 0}, "dog": {"train": 1200, "val": 11, "test": 0}}


def test_images_are_counted_by_split_and_class(tmp_path) -> None:
    html = data(facts_of(tmp_path, data=Data(COUNTS, {})))
    assert "1,290 images" in html
    for row in ("cat: 70", "dog: 1,200", "cat: 9", "dog: 11"):
        assert f"<td>{row}</td>" in html
    assert "<td>test</td>" not in html, "the run has no such split"
    assert "Every image could be read." in html
    assert "<details open><summary>Images of each class" in html


def test_what_is_wrong_is_listed_with_what_to_do(tmp_path) -> None:
    html = data(facts_of(tmp_path))
    assert "1 image could not be read and was left out" in html
    assert "<code>x/broken.jpg</code>: the file is cut off" in html
    assert "<code>a &amp; b.jpg</code>, <code>c.jpg</code>: the same image, 2 times" in html
    assert "each copy counts in training" in html
    assert "a note" in html


def test_long_lists_are_cut(tmp_path) -> None:
    skipped = {f"{number}.jpg": "broken" for number in range(100)}
    findings = tuple(Finding("duplicates", "the same image, 2 times", (f"{n}.jpg",) * 9) for n in range(50))
    html = data(facts_of(tmp_path, data=Data(COUNTS, skipped, findings)))
    assert html.count("</li>") == 2 * 21
    assert "and 80 more" in html
    assert "and 30 more" in html
    assert "and 5 more" in html


def test_without_the_data_the_counts_are_still_there(tmp_path) -> None:
    facts = facts_of(tmp_path)
    gone = replace(known(facts.data), skipped={}, findings=(), warnings=(), missing=Missing("the images are gone"))
    html = data(replace(facts, data=gone))
    assert "Images of each class" in html
    assert "not listed: the images are gone." in html
    assert "Every image could be read" not in html


def test_many_classes_are_folded(tmp_path) -> None:
    assert "<details><summary>Images of each class" in data(facts_of(tmp_path, 13))
