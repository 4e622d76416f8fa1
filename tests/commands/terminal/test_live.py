"""What a terminal shows while a network trains, and what is left on it."""

import os
import signal
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from alexnet.commands.terminal import display, live
from alexnet.commands.terminal.live import BLOCKS, curve_lines, show, stop_on_signal
from alexnet.errors import RunError
from alexnet.training.learning.reports import EpochReport, Report, StepReport, TrainingWarning
from alexnet.training.learning.state import Stop

from .screen import Screen


def training(*before: EpochReport, world_size: int = 1) -> Any:
    return SimpleNamespace(history=[*before], stop=Stop(), group=SimpleNamespace(world_size=world_size))


def step(epoch: int, number: int = 1) -> StepReport:
    done = (epoch - 1 + number / 12) / 40
    return StepReport(epoch, number, 12, 2.0 / epoch, 123.4, done, seconds_left=400 * (1 - done))


def epoch(number: int, top1: float | None = None) -> EpochReport:
    return EpochReport(number, 1.9 / number, 1.8 / number, top1 or 1 - 1 / number, 0.02, 3.5, 122.6, 224)


def epochs(n: int) -> list[Report]:
    return [report for number in range(1, n + 1) for report in (step(number), step(number, 12), epoch(number))]


def use(monkeypatch, screen: Screen, *, is_terminal: bool = True) -> None:
    """Let the screen be the terminal, on which all is drawn at once."""
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(
        file=screen,  # type: ignore[arg-type]
        width=screen.width,
        height=screen.height,
        force_terminal=is_terminal,
        force_interactive=is_terminal,
        color_system="256" if is_terminal else None,
        legacy_windows=False,
        highlight=False,
        soft_wrap=True,
    )
    monkeypatch.setattr(display, "console", console)
    monkeypatch.setattr(live, "SECONDS_BETWEEN_DRAWINGS", 0.0)


def run(reports: Iterable[Report], session: Any = None) -> list[Report]:
    return list(show(reports, session or training()))


def test_the_table_shows_the_last_epochs_and_the_one_in_progress(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)
    shown = show([*epochs(11), step(12, 3)], training())
    for _ in range(len(epochs(11)) + 1):
        next(shown)
    lines = screen.text
    start = lines.index("epoch  size    loss  val loss  val top-1  images/s")
    assert lines[:start] == [str(epoch(number)) for number in (1, 2, 3)], "those that have left the table"
    rows = [line.split() for line in lines[start + 1 : start + 10]]
    assert [row[0] for row in rows] == [str(number) for number in range(4, 13)]
    assert rows[0] == ["4", "224", "0.475", "0.450", "0.750", "123"]
    assert rows[-1] == ["12", "0.167", "123"]
    assert "step 3 of 12" in lines[-1]
    assert lines[-1].endswith("4:48 left")
    assert "━" in lines[-1]
    shown.close()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (60, 12), (200, 60)])
def test_it_fits_the_terminal(monkeypatch, width, height) -> None:
    screen = Screen(width, height)
    use(monkeypatch, screen)
    n_printed = 0
    for report in show(epochs(200), training()):
        n_printed += isinstance(report, EpochReport) and report.epoch > 8
        # Only the plain lines above the table may be wider; a terminal goes on with them in its next line.
        assert screen.n_wrapped == (n_printed if width < len(str(epoch(1))) else 0)
        assert "val top-1  images/s" in screen.shown
        assert "left" in screen.shown
    assert screen.text[-3].startswith("0.995")
    assert not [line for line in screen.text if "val top-1  images/s" in line], "of the table, nothing is left"


def test_afterwards_each_epoch_is_a_line_and_the_curve_stays(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)
    warning = TrainingWarning("the network overfits")
    reports = [*epochs(12), warning, step(13), epoch(13)]
    assert run(reports) == reports
    lines = screen.text
    expected = [*(str(epoch(number)) for number in range(1, 13)), str(warning), str(epoch(13))]
    curve = ["0.923   ▂▄▅▆▆▇▇▇███  val top-1", "       ▅███████████", "0.000 ▁████████████"]
    assert lines == [*expected, *curve]
    assert screen.has_cursor


def test_a_warning_stands_below_the_epochs_before_it(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)
    shown = show([*epochs(3), TrainingWarning("not learning"), step(4)], training())
    for _ in range(10):
        next(shown)
    assert screen.text[:4] == [*(str(epoch(number)) for number in (1, 2, 3)), "warning: not learning"]
    shown.close()


def test_a_resumed_run_has_the_curve_of_all_epochs(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)
    before = [epoch(number, top1=0.1 * number) for number in range(1, 6)]
    run([step(6), epoch(6, top1=0.9)], training(*before))
    assert screen.text[0] == str(epoch(6, top1=0.9)), "the others were printed when they were done"
    assert screen.text[1].startswith("0.900      █")
    assert screen.text[3].startswith("0.100 ▁▄▇██")


def test_it_is_drawn_four_times_a_second_at_most(monkeypatch) -> None:
    screen, now, drawn = Screen(80), [50.0], []
    use(monkeypatch, screen)
    monkeypatch.setattr(live, "SECONDS_BETWEEN_DRAWINGS", 0.25)
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    refresh = Live.refresh
    monkeypatch.setattr(Live, "refresh", lambda self: (drawn.append(now[0]), refresh(self)))
    shown = show((step(1, number) for number in range(1, 1001)), training())
    for _ in range(1000):
        now[0] += 1 / 128
        next(shown)
    n_seconds = 1000 / 128
    assert 3.5 * n_seconds < len(drawn) <= 4 * n_seconds + 2
    shown.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("width", [80, 60])
def test_ctrl_c_leaves_the_terminal_in_order(monkeypatch, number, width) -> None:
    screen, session = Screen(width, 40), training()
    use(monkeypatch, screen)
    monkeypatch.setattr(os, "write", lambda _, text: screen.write(text.decode()))

    def reports() -> Iterable[Report]:
        yield from epochs(10)
        yield step(11, 1)
        screen.write("^C")  # by the terminal
        os.kill(os.getpid(), number)
        assert screen.text[-1].startswith("stopping after this step, then saving"), "at once"
        yield step(11, 2)
        assert screen.text[-1].startswith("stopping after this step, then saving"), "and as long as it takes"
        yield step(11, 3)

    with stop_on_signal(session):
        run(reports(), session)
    assert session.stop.signal == number
    whole = Screen(width, 40)
    use(monkeypatch, whole)
    run([*epochs(10), step(11, 1)])
    assert screen.text == whole.text, "nothing of the table or the message is left"
    assert screen.has_cursor


@pytest.mark.parametrize("width", [80, 60])
def test_a_second_ctrl_c_stops_at_once_and_all_is_printed(monkeypatch, width) -> None:
    screen, session, before = Screen(width, 40), training(), signal.getsignal(signal.SIGINT)
    use(monkeypatch, screen)
    monkeypatch.setattr(os, "write", lambda _, text: screen.write(text.decode()))

    def reports() -> Iterable[Report]:
        yield from epochs(2)
        for _ in range(2):
            screen.write("^C")
            os.kill(os.getpid(), signal.SIGINT)
        yield step(3)

    with pytest.raises(KeyboardInterrupt), stop_on_signal(session):
        run(reports(), session)
    whole = Screen(width, 40)
    use(monkeypatch, whole)
    run(epochs(2))
    assert screen.text == whole.text
    assert screen.has_cursor
    assert signal.getsignal(signal.SIGINT) is before


def test_of_several_processes_a_second_signal_stops_nothing(monkeypatch) -> None:
    """Each gets one from the terminal and another from torchrun."""
    screen, session = Screen(80), training(world_size=2)
    use(monkeypatch, screen)
    with stop_on_signal(session):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        shown = show([step(1)], session)
        next(shown)
        assert screen.text[-1] == "stopping after this step, then saving"
        shown.close()


def test_an_error_leaves_the_epochs_and_the_cursor(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)

    def reports() -> Iterable[Report]:
        yield from epochs(1)
        raise RunError("the loss is nan")

    with pytest.raises(RunError, match="nan"):
        run(reports())
    assert screen.text == [str(epoch(1))]
    assert screen.has_cursor


def test_what_others_print_stands_above_the_table(monkeypatch) -> None:
    screen = Screen(80)
    use(monkeypatch, screen)
    shown = show([step(1), step(1, 2)], training())
    next(shown)
    print("from a library")
    next(shown)
    assert screen.text[0] == "from a library"
    assert "step 2 of 12" in screen.text[-1]
    shown.close()


def test_a_terminal_without_blocks_gets_none(monkeypatch) -> None:
    screen = Screen(80)
    screen.encoding = "ascii"
    use(monkeypatch, screen)
    for _ in show(epochs(12), training()):
        assert "\n".join(screen.lines).isascii()
    assert screen.text == [str(epoch(number)) for number in range(1, 13)]


def test_elsewhere_there_are_plain_lines(monkeypatch) -> None:
    screen, now = Screen(200), [0.0]
    use(monkeypatch, screen, is_terminal=False)
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])

    def reports() -> Iterable[Report]:
        yield step(1, 1)
        now[0] = 31.0
        yield step(1, 2)
        yield step(1, 3)
        yield epoch(1)
        yield TrainingWarning("not learning")

    run(reports())
    assert screen.text == [
        "epoch   1  step 2 of 12  6:38 left",
        f"{epoch(1)}  6:38 left",
        "warning: not learning",
    ]
    assert screen.n_wrapped == 0


@pytest.mark.parametrize(
    ("values", "width", "height", "lines"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, 1, [BLOCKS[1:]]),
        ([0, 15], 8, 2, [" █", "▁█"]),
        ([0.5, 0.5, 0.5], 8, 2, ["   ", "▁▁▁"]),
        ([0, 2, 6, 8], 2, 1, ["▁█"]),  # means of two
        ([1.0], 8, 1, ["▁"]),
        ([0, 1], 0, 1, ["▁"]),
    ],
)
def test_a_curve_is_drawn_with_blocks(values, width, height, lines) -> None:
    assert curve_lines(values, width, height) == lines


def test_a_long_curve_keeps_its_ends() -> None:
    (line,) = curve_lines([*range(999)], 50, 1)
    assert len(line) == 50
    assert (line[0], line[-1]) == ("▁", "█")
    assert sorted(line) == list(line)
