import errno
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from alexnet.training.learning.reports import EpochReport, StepReport, TrainingWarning
from alexnet.training.run import progress
from alexnet.training.run.progress import ProgressFile
from alexnet.training.run.trackers import open_trackers

EPOCH = EpochReport(1, 1.5, 1.25, 0.5, 0.01, 3.0, 40.0, 67)
STEP = StepReport(epoch=1, step=1, n_steps=3, loss=1.0, images_per_second=9.0, progress=0.1, seconds_left=2.0)


def title(folder) -> str:
    root = ElementTree.fromstring((folder / "progress.svg").read_text(encoding="utf-8"))
    (found,) = (text.text for text in root.iter("{http://www.w3.org/2000/svg}text") if "after" in (text.text or ""))
    return str(found)


def test_it_is_drawn_after_each_epoch_and_nothing_else(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    file = ProgressFile(tmp_path)
    file.log(STEP)
    file.log(TrainingWarning("slow"))
    assert list(tmp_path.iterdir()) == []
    for number in (1, 2):
        file.log(replace(EPOCH, epoch=number))
        assert title(tmp_path) == f"val top-1 0.500 after epoch {number}"
    drawn = (tmp_path / "progress.svg").stat().st_mtime_ns
    file.close()
    assert (tmp_path / "progress.svg").stat().st_mtime_ns == drawn, "it is up to date"
    assert len(list(tmp_path.iterdir())) == 1


def test_short_epochs_are_drawn_now_and_then_and_at_the_end(tmp_path, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    file = ProgressFile(tmp_path)
    titles = []
    for number in range(1, 16):
        now[0] += 1
        file.log(replace(EPOCH, epoch=number))
        if (tmp_path / "progress.svg").exists():
            titles.append(title(tmp_path))
    file.close()
    assert [each.split()[-1] for each in titles] == ["10"] * 6
    assert title(tmp_path).endswith("epoch 15")


def test_a_resumed_run_draws_all_of_its_epochs(tmp_path) -> None:
    before = [EPOCH, replace(EPOCH, epoch=2)]
    with open_trackers([], tmp_path, {}, before) as opened:
        assert opened.log(replace(EPOCH, epoch=3, val_loss=2.0)) == []
    assert title(tmp_path).endswith("epoch 3")
    assert "lowest val loss: epoch 1" in (tmp_path / "progress.svg").read_text(encoding="utf-8")
    assert len(before) == 2


def test_without_an_epoch_nothing_is_drawn(tmp_path) -> None:
    with open_trackers([], tmp_path, {}, [EPOCH]):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), ValueError("of matplotlib")])
def test_what_cannot_be_drawn_is_one_warning(error, tmp_path, monkeypatch) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(progress, "write_atomically", fail)
    with open_trackers([], tmp_path, {}, []) as opened:
        (warning,) = opened.log(EPOCH)
        assert warning.text == f"progress.svg logging failed ({error}); disabled for this run"
        assert opened.log(replace(EPOCH, epoch=2)) == []
