"""How training went: the curves, and every epoch."""

from itertools import pairwise

from markupsafe import Markup

from alexnet.errors import DataError
from alexnet.reporting.charts import curves_chart
from alexnet.reporting.facts import Facts, known
from alexnet.reporting.html import Share, counted, details, lines, paragraph, table
from alexnet.training.learning.monitoring import best_epoch
from alexnet.training.learning.reports import EpochReport


def training(facts: Facts) -> Markup:
    """Return loss and top-1 over the epochs, as charts and as a table."""
    history = known(facts.history)
    if not history:
        raise DataError("metrics.jsonl has no epoch")
    kept = _kept(history, facts.artifact.provenance.get("epochs"))
    return lines((
        paragraph(_length(history), _best(history), kept, _steps(history)),
        curves_chart(history),
        paragraph(
            "The loss on train is measured during an epoch, on augmented images and with label smoothing; that on val "
            "after it, on whole images. So it may be higher on train.",
            kind="muted",
        ),
        details("Every epoch", _table(history)),
    ))  # fmt: skip


def _length(history: tuple[EpochReport, ...]) -> str:
    minutes = sum(each.seconds for each in history) / 60
    time = f"{minutes:.1f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    return f"{counted(len(history), 'epoch')} in {time}, without validation."


def _best(history: tuple[EpochReport, ...]) -> str:
    best = best_epoch(history, history[-1].image_size)
    assert best is not None
    return f"The loss on val was lowest after epoch {best.epoch}: {best.val_loss:.3f}, with top-1 {best.val_top1:.1%}."


def _kept(history: tuple[EpochReport, ...], epoch: int | None) -> str:
    is_earlier = epoch is not None and epoch < history[-1].epoch
    return f"The weights of epoch {epoch} were kept (--patience)." if is_earlier else ""


def _steps(history: tuple[EpochReport, ...]) -> str:
    sizes = [history[0].image_size]
    sizes += [after.image_size for before, after in pairwise(history) if before.image_size != after.image_size]
    if len(sizes) == 1:
        return ""
    return f"The images grew on the way: {', '.join(map(str, sizes))} px. A line marks each step."


def _table(history: tuple[EpochReport, ...]) -> Markup:
    columns = ("epoch", "px", "loss on train", "loss on val", "top-1 on val", "learning rate", "images/s")
    rows = [
        (
            each.epoch, each.image_size, each.train_loss, each.val_loss, Share(each.val_top1), f"{each.lr:.2g}",
            round(each.images_per_second),
        )
        for each in history
    ]  # fmt: skip
    return table(columns, rows, name="Every epoch")
