"""``progress.svg`` in the run folder: the curves of a training so far."""

import time
from collections.abc import Sequence
from pathlib import Path

from alexnet.files.atomic import write_atomically
from alexnet.training.learning.reports import EpochReport, Report
from alexnet.training.run.curves import as_svg, curves

PROGRESS = "progress.svg"
# Drawing takes 0.2 s, 2% of this, and the first time another second to import matplotlib.
SECONDS_BETWEEN = 10.0


class ProgressFile:
    """Draws ``progress.svg`` anew after each epoch, but not more often than every ``SECONDS_BETWEEN``, and at the end.

    It is a ``Tracker``: one that fails is disabled with a warning, and training goes on.

    Args:
        folder: the run folder.
        history: the epochs that were done before.
    """

    def __init__(self, folder: Path, history: Sequence[EpochReport] = ()) -> None:
        self._file = folder / PROGRESS
        self._history = list(history)
        self._is_drawn = True
        self._drawn_at = time.monotonic()

    def log(self, report: Report) -> None:
        """Add an epoch.

        Raises:
            OSError: the file cannot be written.
        """
        if not isinstance(report, EpochReport):
            return
        self._history.append(report)
        self._is_drawn = False
        if time.monotonic() - self._drawn_at >= SECONDS_BETWEEN:
            self._draw()

    def close(self) -> None:
        """Draw the epochs that have not been drawn."""
        if not self._is_drawn:
            self._draw()

    def _draw(self) -> None:
        write_atomically(self._file, as_svg(curves(self._history)))
        self._is_drawn = True
        self._drawn_at = time.monotonic()
