"""Charts, drawn by matplotlib as SVG inside the page: they take its font, and its colours in light and dark."""

import re
from collections.abc import Sequence

from markupsafe import Markup

from alexnet.evaluation.scores.calibration import Bin
from alexnet.training.learning.reports import EpochReport
from alexnet.training.run.curves import BLUE, GREEN, GREY, VERMILION, as_svg, curves

# What the page shows in place of matplotlib's colours: the variables of style.css.
_VARIABLES = {GREY: "var(--muted)", BLUE: "var(--accent)", VERMILION: "var(--second)", GREEN: "var(--right)"}
# Inches of 72 units. On a phone a chart has about as many pixels as units, so that letters of 9 can still be read.
CURVES_SIZE, RELIABILITY_SIZE = (4.8, 4.8), (4.6, 3.4)
LETTERS = 9


def curves_chart(history: Sequence[EpochReport]) -> Markup:
    """Return the losses and top-1 after each epoch."""
    figure = curves(history)
    figure.set_size_inches(*CURVES_SIZE)
    last = history[-1]
    says = f"After {last.epoch} epochs: loss {last.train_loss:.3f} on train and {last.val_loss:.3f} on val"
    return _inline(as_svg(figure), f"{says}, top-1 {last.val_top1:.1%} on val")


def reliability_chart(bins: Sequence[Bin], title: str) -> Markup:
    """Return a reliability diagram: the share that is right against the probability, and the number of images."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=RELIABILITY_SIZE, layout="constrained")
    axes = figure.subplots()
    filled = [each for each in bins if each.n_images]
    middles, width = [(each.low + each.high) / 2 for each in filled], 0.9 / len(bins)
    accuracies, confidences = ([getattr(each, name) for each in filled] for name in ("accuracy", "confidence"))
    gaps = [confidence - accuracy for accuracy, confidence in zip(accuracies, confidences, strict=True)]
    axes.bar(middles, accuracies, width, color=BLUE, label="right")
    axes.bar(middles, [max(gap, 0) for gap in gaps], width, accuracies, color=VERMILION, alpha=0.6, label="too sure")
    axes.bar(middles, [min(gap, 0) for gap in gaps], width, accuracies, color=GREEN, label="not sure enough")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for middle, each in zip(middles, filled, strict=True):
        # Above the axes, where no bar is.
        axes.text(middle, 1.01, f"{each.n_images}", color=GREY, fontsize=LETTERS - 3, ha="center", va="bottom")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel("probability of the prediction", color=GREY, fontsize=LETTERS)
    axes.set_title(title, loc="left", color=GREY, fontsize=LETTERS, pad=14)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.tick_params(colors=GREY, labelsize=LETTERS, length=0)
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1.05), ncols=3, handlelength=1, columnspacing=1, borderpad=0,
        frameon=False, fontsize=LETTERS - 1, labelcolor=GREY,
    )  # fmt: skip
    n = sum(each.n_images for each in bins)
    return _inline(as_svg(figure), f"{title}: the share that is right against the probability, for {n} images")


def _inline(svg: str, says: str) -> Markup:
    """Return an SVG file as an element of the page, as wide as its place."""
    svg = svg[svg.index("<svg") :]
    # The style would be for every element of the page. Most ids are in every chart, and nothing refers to them.
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour.lower(), variable)
    opening = Markup('<svg class="chart" role="img" aria-label="{}" ').format(says)
    return opening + Markup(svg.removeprefix("<svg "))  # drawn here, from numbers and our own words
