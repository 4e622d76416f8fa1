"""While a network trains: on a terminal a table of the last epochs with a curve and the time left, else plain lines."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from types import FrameType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alexnet.commands.terminal import display
from alexnet.training.learning.reports import EpochReport, Report, StepReport, TrainingWarning
from alexnet.training.learning.state import Training

# Drawing takes 1 to 3 ms, so at most 1% of the time.
SECONDS_BETWEEN_DRAWINGS = 0.25
# Rows of the table, and the other lines: header, epoch in progress, three of the curve, bar, message, two gaps, and the
# line to which rich moves the cursor at the end.
N_ROWS, N_OTHER_LINES = 8, 10
# With a table of rich, drawing would take 7 ms.
_COLUMNS = "{:>5}  {:>4}  {:>6}  {:>8}  {:>9}  {:>8}"
WIDTH, CURVE_HEIGHT = 72, 3
BLOCKS = " ▁▂▃▄▅▆▇█"


def show(reports: Iterable[Report], training: Training) -> Iterator[Report]:
    """Yield the reports of a training session, and show each: one line per epoch, and the progress in between.

    On a terminal, the last epochs are a table. An epoch that leaves it is printed above it, as the same line as
    elsewhere; so are, at the end, those that are left. The curve stays.
    """
    return _show_live(reports, training) if display.console.is_interactive else _show_plain(reports)


def _show_plain(reports: Iterable[Report]) -> Iterator[Report]:
    last, left = time.monotonic(), ""
    for report in reports:
        if isinstance(report, TrainingWarning):
            display.say(str(report))
        elif isinstance(report, EpochReport):
            display.say(f"{report}{left}")
            last = time.monotonic()
        else:
            left = f"  {display.format_seconds(report.seconds_left)} left"
            if time.monotonic() - last > display.SECONDS_BETWEEN_LINES:
                display.say(f"epoch {report.epoch:3d}  step {report.step} of {report.n_steps}{left}")
                last = time.monotonic()
        yield report


def _show_live(reports: Iterable[Report], training: Training) -> Iterator[Report]:
    view, drawn = _View(training), 0.0
    try:
        # Without rich's own thread, which would draw even where nothing has changed.
        with Live(view, console=display.console, auto_refresh=False, transient=True) as live:
            for report in reports:
                view.add(report)
                if time.monotonic() - drawn >= SECONDS_BETWEEN_DRAWINGS:
                    live.refresh()
                    drawn = time.monotonic()
                yield report
    finally:
        view.print_rows(0)
        for line in view.curve(display.console.options):
            display.console.print(line)


class _View:
    """What is drawn while a network trains: the table, the curve, the progress bar, and a line for a message."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._rows: list[EpochReport] = []
        self._top1 = [report.val_top1 for report in training.history]
        self._step: StepReport | None = None
        self._is_in_epoch = False

    def add(self, report: Report) -> None:
        """Add a report; print the epochs that leave the table, and warnings."""
        if isinstance(report, TrainingWarning):
            self.print_rows(0)  # it is about the epochs before it
            display.say(str(report))
            return
        self._is_in_epoch = isinstance(report, StepReport)
        if isinstance(report, StepReport):
            self._step = report
        else:
            self._rows.append(report)
            self._top1.append(report.val_top1)
            self.print_rows(N_ROWS)

    def print_rows(self, n_kept: int) -> None:
        """Print the first epochs of the table above it, and keep the last ``n_kept``."""
        while len(self._rows) > n_kept:
            display.say(str(self._rows.pop(0)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._table(n_rows=max(1, options.size.height - N_OTHER_LINES))
        yield Text()
        if lines := self.curve(options):
            yield from (*lines, Text())
        if self._step is not None:
            yield _bar(self._step, min(WIDTH, options.max_width))
        # Mostly empty: the terminal prints ^C into the last line, and the signal handler its message.
        yield Text(_stopping(self._training, options.max_width) if self._training.stop.signal is not None else "")

    def _table(self, n_rows: int) -> Iterator[Text]:
        yield Text(_COLUMNS.format("epoch", "size", "loss", "val loss", "val top-1", "images/s"), style="bold")
        for row in self._rows[-n_rows:]:
            scores = (f"{score:.3f}" for score in (row.train_loss, row.val_loss, row.val_top1))
            yield Text(_COLUMNS.format(row.epoch, row.image_size, *scores, f"{row.images_per_second:.0f}"))
        if self._is_in_epoch and (now := self._step) is not None:
            speed = f"{now.images_per_second:.0f}"
            yield Text(_COLUMNS.format(now.epoch, "", f"{now.loss:.3f}", "", "", speed), style="dim")

    def curve(self, options: ConsoleOptions) -> list[Text]:
        """Return top-1 on ``val`` by epoch as a few lines, with its range; none for one epoch, or without blocks."""
        if len(self._top1) < 2 or options.ascii_only or options.legacy_windows:
            return []
        before, after = [""] * CURVE_HEIGHT, [""] * CURVE_HEIGHT
        before[0], before[-1], after[0] = f"{max(self._top1):.3f}", f"{min(self._top1):.3f}", "val top-1"
        width = min(WIDTH, options.max_width) - len(before[0]) - len(after[0]) - 3
        blocks = curve_lines(self._top1, width, CURVE_HEIGHT)
        return [Text(f"{left:5} {line}  {right}") for left, line, right in zip(before, blocks, after, strict=True)]


def curve_lines(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return a curve as lines of blocks, filled below, between the lowest value and the highest.

    Args:
        values: a column each; averaged if there are more than columns.
        width: columns at most.
        height: lines; a line has eight levels.
    """
    n = max(1, min(width, len(values)))
    means = [fmean(values[i * len(values) // n : (i + 1) * len(values) // n]) for i in range(n)]
    low, high = min(means), max(means)
    scale = (8 * height - 1) / (high - low) if high > low else 0.0
    levels = [1 + round((mean - low) * scale) for mean in means]
    return ["".join(BLOCKS[min(8, max(0, level - 8 * line))] for level in levels) for line in reversed(range(height))]


def _bar(step: StepReport, width: int) -> Table:
    line = Table.grid(padding=(0, 1))
    line.width = width
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    bar, left = ProgressBar(total=1.0, completed=step.progress), display.format_seconds(step.seconds_left)
    line.add_row(f"step {step.step} of {step.n_steps}", bar, f"{left} left")
    return line


def _stopping(training: Training, width: int) -> str:
    """Return the message after a first Ctrl-C or SIGTERM. A ^C behind it still fits into its line."""
    again = "; press Ctrl-C again to stop at once" if _is_alone(training) else ""
    return f"stopping after this step, then saving{again}"[: width - 4]


def _is_alone(training: Training) -> bool:
    return training.group.world_size == 1


@contextmanager
def stop_on_signal(training: Training) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop: training finishes the step and saves.

    The second one stops at once, unless several processes train: each gets one from the terminal and another from
    torchrun, which kills those that do not end.
    """
    stop = training.stop

    def request_stop(number: int, frame: FrameType | None) -> None:
        if stop.signal is not None and _is_alone(training):
            raise KeyboardInterrupt
        stop.signal = number
        if _is_alone(training):
            # Not print: the signal may come in the middle of a print.
            os.write(2, _message(training).encode())

    before = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _message(training: Training) -> str:
    """Return the message with what puts it on a line of its own: on a terminal the last line of what is drawn."""
    if display.console.is_interactive:
        return f"\r{_stopping(training, display.console.width)}"
    return f"\n{_stopping(training, width=80)}\n"
