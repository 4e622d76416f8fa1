"""The curves of a training: the losses and top-1 by epoch, for ``progress.svg``, notebooks and reports."""

import io
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from alexnet.training.learning.monitoring import best_epoch
from alexnet.training.learning.reports import EpochReport

# matplotlib takes a second to import.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# For text and axes. Its contrast is 4.5 on white and 4.6 on black: with a transparent background, the curves are read
# on light and on dark pages, and no white card shines out of a dark one.
GREY = "#767676"
# Of Okabe and Ito: colour-blind people can tell them apart.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
# With more epochs than this, points would hide the line.
_MOST_POINTS = 30
# Whatever a matplotlibrc says. Text stays text: the file is smaller, and uses the fonts of the page.
STYLE: dict[str, Any] = {
    "svg.hashsalt": "alexnet",
    "svg.fonttype": "none",
    "path.simplify": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
}


def curves(history: Sequence[EpochReport]) -> "Figure":
    """Draw the losses on train and val, and top-1 on val, by epoch. The best epoch and the image sizes are marked.

    Args:
        history: the epochs done, at least one.
    """
    from matplotlib import style
    from matplotlib.figure import Figure  # not pyplot, which keeps figures and looks for a display
    from matplotlib.ticker import MaxNLocator

    epochs, last = [report.epoch for report in history], history[-1]
    marker = "." if len(history) <= _MOST_POINTS else ""
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(6.4, 4.8))
        # A constrained layout would take as long as drawing.
        figure.subplots_adjust(left=0.1, right=0.98, bottom=0.1, top=0.87, hspace=0.15)
        figure.suptitle(f"val top-1 {last.val_top1:.3f} after epoch {last.epoch}")
        losses, top1 = figure.subplots(2, sharex=True)
        losses.plot(epochs, [report.train_loss for report in history], color=BLUE, marker=marker, label="train")
        losses.plot(epochs, [report.val_loss for report in history], color=VERMILION, marker=marker, label="val")
        top1.plot(epochs, [report.val_top1 for report in history], color=GREEN, marker=marker)
        losses.set(ylabel="loss (nats)")
        losses.set_ylim(bottom=0)
        top1.set(xlabel="epoch", ylabel="val top-1", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5), ylim=(0, 1.02))
        top1.xaxis.set_major_locator(MaxNLocator(integer=True))
        _mark_best(history, losses, top1)
        _mark_sizes(history, losses, top1)
        losses.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))  # above, where no line crosses its text
    return figure


def _mark_best(history: Sequence[EpochReport], *all_axes: "Axes") -> None:
    best = best_epoch(history, history[-1].image_size)
    assert best is not None, "the last epoch has the size of the last epoch"
    for axes in all_axes:
        axes.axvline(best.epoch, color=GREY, linestyle=":", label=f"lowest val loss: epoch {best.epoch}")


def _mark_sizes(history: Sequence[EpochReport], *all_axes: "Axes") -> None:
    """Mark where the image size changes, since losses at other sizes do not compare."""
    begins = [(next(group).epoch, size) for size, group in groupby(history, key=lambda report: report.image_size)]
    for number, (epoch, size) in enumerate(begins if len(begins) > 1 else ()):
        for axes in all_axes if number else ():
            axes.axvline(epoch - 0.5, color=GREY, linewidth=0.8, alpha=0.6)
        where = all_axes[-1]
        where.text(epoch - 0.4, 1.02, f"{size} px", fontsize="small", transform=where.get_xaxis_transform())


def as_svg(figure: "Figure") -> str:
    """Return a figure as SVG: without a date, and with ids that depend on its content alone."""
    from matplotlib import style

    file = io.StringIO()
    with style.context(["default", STYLE]):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
