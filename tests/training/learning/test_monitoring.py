import math
from dataclasses import replace

import pytest

from alexnet.training.learning.monitoring import best_epoch, epoch_warnings, few_images_warning, should_stop_early
from alexnet.training.learning.reports import EpochReport


def history_of(*losses: float | tuple[float, float], lr: float = 0.02) -> list[EpochReport]:
    """Epochs with these losses on val, or pairs of losses on train and val."""
    pairs = [each if isinstance(each, tuple) else (each, each) for each in losses]
    return [
        EpochReport(
            epoch=number, train_loss=train, val_loss=val, val_top1=0.5, lr=lr * number, seconds=1.0,
            images_per_second=100.0, image_size=224,
        )
        for number, (train, val) in enumerate(pairs, start=1)
    ]  # fmt: skip


def warnings_of(history: list[EpochReport], n_classes: int) -> dict[int, list[str]]:
    """The warnings after each epoch."""
    after = {n: epoch_warnings(history[:n], n_classes) for n in range(1, len(history) + 1)}
    return {n: texts for n, texts in after.items() if texts}


@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_a_loss_that_stays_that_of_guessing_is_said_once_with_what_to_do(n_classes) -> None:
    """pytorch/vision #1998."""
    chance = math.log(n_classes)
    warned = warnings_of(history_of(*[chance] * 8), n_classes)
    assert list(warned) == [5]
    ((text,),) = warned.values()
    assert "after 5 epochs" in text
    assert f"ln {n_classes} = {chance:.2f}" in text
    assert "--lr" in text
    assert "--find-lr" in text
    assert "lower than 0.1" in text, "the highest rate so far"
    assert "\n" not in text


@pytest.mark.parametrize("factor", [0.99, 1.0, 1.5, 100.0])
def test_about_the_loss_of_guessing_or_above_it_is_stuck(factor) -> None:
    assert 5 in warnings_of(history_of(*[factor * math.log(10)] * 6), 10)


@pytest.mark.parametrize(
    "losses",
    [
        [2.25, 1.9, 1.5, 1.5, 1.4],
        [2.31, 2.31, 2.31, 2.31, 2.2],
        # Images that are mixed or smoothed keep the loss on train high: that on val tells.
        [(2.31, 2.1)] * 5,
        # Over the loss of guessing on val, but the training images are being learned: another trouble.
        [(2.0, 3.0), (1.5, 3.0), (1.0, 3.0), (0.9, 3.0), (0.8, 3.0)],
        [2.0, 2.5, 2.5, 2.5, 2.5],
        [2.31, 2.31, 2.31, 2.31],
    ],
)
def test_nothing_is_said_of_what_learns_or_has_just_begun(losses) -> None:
    assert warnings_of(history_of(*losses), 10) == {}


def test_a_loss_that_rises_on_val_is_said_once_with_the_best_epoch() -> None:
    falls, rises = [1.5, 1.0, 0.8], [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
    warned = warnings_of(history_of(*[(0.5, each) for each in falls + rises]), 10)
    assert list(warned) == [8], "after five epochs above"
    ((text,),) = warned.values()
    assert "0.800 after epoch 3" in text
    assert "above 0.920 for 5 epochs" in text
    assert "--patience" in text
    assert "\n" not in text


def test_it_is_not_said_again_of_a_loss_that_goes_up_and_down() -> None:
    up, down = [1.0] * 5, [0.85]
    warned = warnings_of(history_of(0.8, *up, *down, *up, *down, *up), 10)
    assert list(warned) == [6]


@pytest.mark.parametrize(
    "losses",
    [
        [1.0, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1],
        [1.0, 1.3, 1.3, 1.3, 1.3, 1.1, 1.3, 1.3, 1.3, 1.3],
        [1.0, 2.0, 2.0, 2.0, 2.0],
        [2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7],
    ],
)
def test_a_loss_that_hardly_rises_or_only_for_a_while_is_no_reason_to_speak(losses) -> None:
    assert warnings_of(history_of(*losses), 10) == {}


def test_patience_counts_epochs_since_the_best() -> None:
    history = history_of(1.0, 0.8, 0.9, 0.8, 0.85, 0.7, 0.75)
    ends = {
        patience: [n for n in range(1, 8) if should_stop_early(history[:n], 224, patience)] for patience in (1, 2, 3, 4)
    }
    assert ends == {1: [3, 4, 5, 7], 2: [4, 5], 3: [5], 4: []}


def test_without_patience_training_goes_on() -> None:
    assert not should_stop_early(history_of(*range(1, 100)), 224, None)
    assert not should_stop_early([], 224, 1)


def test_the_best_epoch_is_the_one_that_patience_counts_from() -> None:
    """What is kept at the end must be what training has waited to improve upon."""
    history = history_of(1.0, 0.8, 0.9, 0.8, 0.85)
    assert best_epoch(history, 224) is history[1], "the first of two that are as good"
    assert should_stop_early(history, 224, 3)
    assert not should_stop_early(history, 224, 4)


def test_epochs_at_smaller_sizes_are_neither_best_nor_waited_for() -> None:
    """Their losses do not compare, and a network must have seen the size that it will be used at."""
    history = [replace(report, image_size=128) for report in history_of(0.3, 0.2, 0.4, 0.5)]
    assert best_epoch(history, 224) is None
    assert not should_stop_early(history, 224, 1)
    history += [replace(report, epoch=report.epoch + 4) for report in history_of(0.9, 0.95)]
    assert best_epoch(history, 224) is history[4]
    assert should_stop_early(history, 224, 1)
    assert not should_stop_early(history[:5], 224, 1)


def test_one_class_of_few_images_is_named() -> None:
    text = few_images_warning([100, 19, 20], ["cat", "dog", "emu"])
    assert text.startswith("class 'dog' has 19 training images: too few")
    assert "--init" in text


def test_of_several_the_smallest_is_named() -> None:
    text = few_images_warning([5, 100, 3, 19], ["ant", "bee", "cat", "dog"])
    assert text.startswith("3 classes have fewer than 20 training images (class 'cat' has 3): too few")
    assert "'ant'" not in text


@pytest.mark.parametrize("counts", [[20, 20], [1000, 30]])
def test_enough_images_are_nothing_to_speak_of(counts) -> None:
    assert few_images_warning(counts, ["cat", "dog"]) is None
