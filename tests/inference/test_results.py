"""A file of predictions: continued, refused, and left as it is."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.commands.terminal.tables import prediction_header, prediction_lines
from alexnet.errors import SettingsError
from alexnet.inference.predictions import ImagePredictions, Prediction
from alexnet.inference.results import Kind, Origin, digest, open_results

KINDS: tuple[Kind, ...] = ("json", "csv")
NAMES = (
    "a.jpg",
    "b, c.jpg",
    'say "b".jpg',
    "two\nlines.jpg",
    "two\r\nmore\r.jpg",
    "Größe.jpg",
    "not\udcfftext.jpg",
    "z.jpg",
)


def origin(kind: Kind) -> Origin:
    return Origin(models=("m",), top=1, kind=kind, folder="/here")


def add(path: Path, kind: Kind, names: Sequence[str], bad: Sequence[str] = ()) -> list[str]:
    """Predict what the file does not hold, as the command does. Return what it did not hold."""
    line = prediction_lines(kind, 1)
    with open_results(path, origin(kind), prediction_header(kind, 1)) as file:
        left = [name for name in names if name not in file]
        for name in left:
            result = ImagePredictions(name, (Prediction("cat", 0.75),))
            file.add(line(ImagePredictions(name, error="no image") if name in bad else result))
    return left


@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_any_byte_it_is_completed(tmp_path, kind) -> None:
    """A process may be killed anywhere: the completed file is that of a process that was not."""
    whole = tmp_path / f"whole.{kind}"
    assert add(whole, kind, NAMES) == list(NAMES)
    content, beside = whole.read_bytes(), (tmp_path / f"whole.{kind}.json").read_text()
    path = tmp_path / f"cut.{kind}"
    for n_bytes in range(len(content) + 1):
        path.write_bytes(content[:n_bytes])
        path.with_name(f"{path.name}.json").write_text(beside)
        left = add(path, kind, NAMES)
        assert path.read_bytes() == content, n_bytes
        assert left == list(NAMES[len(NAMES) - len(left) :])
    assert left == []
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"cut.{kind}", f"cut.{kind}.json", f"whole.{kind}", f"whole.{kind}.json",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_unreadable_images_are_tried_again(tmp_path, kind) -> None:
    path = tmp_path / "results"
    add(path, kind, NAMES, bad=NAMES[1:4])
    assert path.read_text(encoding="utf-8").count("no image") == 3
    assert add(path, kind, NAMES, bad=NAMES[2:3]) == list(NAMES[1:4])
    assert path.read_text(encoding="utf-8").count("no image") == 1
    assert add(path, kind, NAMES) == [NAMES[2]]
    assert "no image" not in path.read_text(encoding="utf-8")
    assert add(path, kind, NAMES) == []


def test_more_images_are_added_and_nothing_is_lost(tmp_path) -> None:
    path = tmp_path / "results.jsonl"
    add(path, "json", NAMES[:3])
    before = path.read_bytes()
    add(path, "json", NAMES[3:])
    assert path.read_bytes().startswith(before)
    assert [json.loads(line)["path"] for line in path.read_text().splitlines()] == list(NAMES)
    assert add(path, "json", ["new.jpg", NAMES[0]]) == ["new.jpg"]


def test_what_made_it_stands_beside_it(tmp_path) -> None:
    add(tmp_path / "results.csv", "csv", NAMES)
    saved = json.loads((tmp_path / "results.csv.json").read_text())
    assert saved == {"alexnet predict": {"models": ["m"], "top": 1, "kind": "csv", "folder": "/here"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": ("n",)}, "holds the predictions of another model; write to another file"),
        ({"models": ("m", "n")}, "holds the predictions of another model"),
        ({"top": 5}, "was made with --top 1, not 5"),
        ({"kind": "json"}, "holds CSV, not lines of JSON"),
        ({"folder": "/there"}, "relative to '/here'; give such paths"),
    ],
)
def test_other_predictions_are_not_mixed_in(tmp_path, change, message) -> None:
    path = tmp_path / "results.csv"
    add(path, "csv", NAMES, bad=NAMES[:1])
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(SettingsError, match=message), open_results(path, replace(origin("csv"), **change), "path"):
        pytest.fail("it was opened")
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_absolute_paths_mean_the_same_everywhere(tmp_path) -> None:
    path = tmp_path / "results.jsonl"
    add(path, "json", NAMES)
    with open_results(path, replace(origin("json"), folder=None)) as file:
        assert NAMES[0] in file


@pytest.mark.parametrize("beside", [None, "", "{}", "[]", '{"alexnet predict": {"top": 1}}', '{"alexnet predict": 3}'])
@pytest.mark.parametrize("content", ["", "a table of mine\n"])
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path, beside, content) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    if beside is not None:
        path.with_name("mine.csv.json").write_text(beside)
    with pytest.raises(SettingsError, match=r"'mine\.csv\.json' beside it does not say how alexnet predict made it"):
        add(path, "csv", NAMES)
    assert path.read_text() == content
    if beside is not None:
        path.unlink()  # then the file beside it is somebody else's all the more
        with pytest.raises(SettingsError, match="cannot be continued"):
            add(path, "csv", NAMES)
        assert path.with_name("mine.csv.json").read_text() == beside
        assert not path.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["text\n", "\n", "a,b\n", '{"predictions": []}\n', "\0\0\0\n"])
def test_a_line_that_is_no_prediction_is_not_thrown_away(tmp_path, kind, damage) -> None:
    path = tmp_path / "results"
    add(path, kind, ["a.jpg", "b.jpg"])
    lines = path.read_text().splitlines(keepends=True)
    damaged = "".join([*lines[:-1], damage, lines[-1], "c.jpg,"])
    path.write_text(damaged)
    with pytest.raises(SettingsError, match="is damaged after 1 predictions; repair it"):
        add(path, kind, ["a.jpg", "b.jpg"])
    assert path.read_text() == damaged


def test_only_one_process_writes_at_a_time(tmp_path) -> None:
    path = tmp_path / "results.jsonl"
    with (
        open_results(path, origin("json")),
        pytest.raises(SettingsError, match="another process is writing"),
        open_results(path, origin("json")),
    ):
        pytest.fail("it was opened twice")
    add(path, "json", NAMES)


def test_a_folder_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"there is no folder '.*nowhere' for 'results\.csv'; create it first"):
        add(tmp_path / "nowhere" / "results.csv", "csv", NAMES)


def test_a_link_stays_a_link(tmp_path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "results.csv"
    link.symlink_to(tmp_path / "disk" / "results.csv")
    for names in (NAMES[:2], NAMES):
        add(link, "csv", names)
    assert link.is_symlink()
    assert len(list((tmp_path / "disk").iterdir())) == 2


def test_a_model_is_known_by_its_content(tmp_path) -> None:
    model, copy = tmp_path / "model", tmp_path / "copy"
    for folder in (model, copy):
        folder.mkdir()
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_text(name)
    (copy / "README.md").write_text("words")
    assert digest(model) == digest(copy)
    (copy / "model.safetensors").write_text("other weights")
    assert digest(model) != digest(copy)
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    for file in (first, second):
        file.write_bytes(b"weights")
    assert digest(first) == digest(second), "whatever it is named"
    second.write_bytes(b"others")
    assert digest(first) != digest(second)
