"""Results as text: tables for people, JSON and CSV for programs."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alexnet.data.findings import ADVICE, Report

# These import torch, which takes 1.5 seconds. Checking does not need it.
if TYPE_CHECKING:
    from alexnet.evaluation.scoring import EvaluationResult
    from alexnet.inference.classifier import ImagePredictions

# A confusion matrix of more classes does not fit on a screen.
MOST_CONFUSION_COLUMNS = 12
# Findings of one kind, and files of one finding. --json prints all.
MOST_SHOWN = 10
MOST_UNUSABLE = 100


def check_report(report: Report) -> str:
    """Return the usable images by class and split, the unusable ones, and the findings by kind."""
    n_unusable, warnings = len(report.unusable), _counted(len(report.warnings), "warning")
    parts = [f"{report.n_usable} usable images in {report.name}, {n_unusable} unusable; {warnings}\n"]
    splits = next(iter(report.classes.values()), {})
    classes = _table("class", *splits)
    for label, counts in report.classes.items():
        classes.add_row(Text(label), *map(str, counts.values()))
    classes.add_section()
    classes.add_row("total", *(str(sum(counts[split] for counts in report.classes.values())) for split in splits))
    parts += [_text(classes), ""]
    if report.unusable:
        parts += [_pairs("unusable", "reason", report.unusable, most=MOST_UNUSABLE), ""]
    for kind, group in groupby(report.warnings, key=lambda finding: finding.kind):
        rows = [("\n".join(_first(finding.paths)), finding.what) for finding in group]
        parts += [_pairs(kind.replace("_", " "), ADVICE[kind], rows), ""]
    return "\n".join(parts).rstrip("\n")


def check_json(report: Report) -> str:
    """Return a report as one JSON object."""
    return json.dumps(report.to_json(), allow_nan=False)


def check_csv(report: Report) -> str:
    """Return one line for each image with a problem, and one for each problem of a whole class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("kind", "path", "label", "split", "detail"))
    for path, reason in report.unusable:
        writer.writerow(("unusable", path, *_place(report, path), reason))
    for finding in report.warnings:
        for path in finding.paths:
            writer.writerow((finding.kind, path, *_place(report, path), finding.message))
        for label in () if finding.paths else finding.labels:
            writer.writerow((finding.kind, "", label, " ".join(finding.splits), finding.message))
    return buffer.getvalue().rstrip("\n")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _place(report: Report, path: str) -> tuple[str, str]:
    image = report.images.get(path)
    return (image.label, image.split or "") if image else ("", "")


def _pairs(first: str, second: str, rows: Sequence[tuple[str, str]], most: int = MOST_SHOWN) -> str:
    table = Table(first, second, box=box.SIMPLE_HEAD, pad_edge=False)
    for left, right in rows[:most]:
        table.add_row(Text(left), Text(right))
    if len(rows) > most:
        table.add_row(f"and {len(rows) - most} more", "")
    return _text(table)


def _first(paths: Sequence[str]) -> list[str]:
    more = [f"and {len(paths) - MOST_SHOWN} more"] if len(paths) > MOST_SHOWN else []
    return [*paths[:MOST_SHOWN], *more]


def evaluation(result: "EvaluationResult") -> str:
    """Return the scores, the table by class and, for few classes, the confusion matrix."""
    scores = result.scores
    what = f"{result.split} images of {result.data}" if result.split else f"images of {result.data}"
    views = f", {result.views} views of each" if result.views > 1 else ""
    k = min(5, len(scores.per_class))
    head = (
        f"{scores.n_images} {what}{views}\n"
        f"top-1 {scores.top1:.4f}   top-{k} {scores.top5:.4f}   loss {scores.loss:.4f}   "
        f"calibration error {scores.ece:.4f}\n"
    )
    classes = _table("class", "images", "recall", "precision")
    for score in scores.per_class:
        # Without images of a class, its recall is undefined.
        recall = f"{score.recall:.3f}" if score.n_images else "-"
        classes.add_row(Text(score.label), str(score.n_images), recall, f"{score.precision:.3f}")
    parts = [head, _text(classes)]
    if len(scores.per_class) <= MOST_CONFUSION_COLUMNS:
        matrix = _table("true \\ predicted", *(score.label for score in scores.per_class))
        for score, row in zip(scores.per_class, scores.confusion, strict=True):
            matrix.add_row(Text(score.label), *(str(count) if count else "." for count in row))
        parts += ["", _text(matrix)]
    return "\n".join(parts)


def evaluation_json(result: "EvaluationResult") -> str:
    """Return the scores as one JSON object."""
    return json.dumps(result.scores.to_json(), allow_nan=False)


PredictionFormat = Literal["table", "json", "csv"]


def prediction_lines(kind: PredictionFormat, top: int) -> Callable[["ImagePredictions"], str]:
    """Return the function that formats a result as one line. Every CSV line has columns for ``top`` classes."""
    return {"table": _prediction_words, "json": _prediction_json, "csv": _prediction_csv(top)}[kind]


def prediction_header(kind: PredictionFormat, top: int) -> str | None:
    """Return the line before all results, if the format has one."""
    if kind != "csv":
        return None
    ranked = (f"{what}_{place}" for place in range(1, top + 1) for what in ("label", "probability"))
    return ",".join(("path", *ranked, "error"))


def _prediction_words(result: "ImagePredictions") -> str:
    if result.error is not None:
        return f"{result.path}  cannot be read: {result.error}"
    ranked = "  ".join(f"{each.label} {each.probability:.1%}" for each in result.predictions)
    return f"{result.path}  {ranked}"


def _prediction_json(result: "ImagePredictions") -> str:
    return json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False)


def _prediction_csv(top: int) -> Callable[["ImagePredictions"], str]:
    def line(result: "ImagePredictions") -> str:
        cells = [cell for each in result.predictions for cell in (each.label, f"{each.probability:.6f}")]
        cells += [""] * (2 * top - len(cells))
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow((result.path, *cells, result.error or ""))
        return buffer.getvalue()

    return line


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(first))
    for name in others:
        table.add_column(Text(name), justify="right")
    return table


def _text(table: Table) -> str:
    """Render a table as plain text, as wide as it needs to be."""
    console = Console(file=io.StringIO(), width=10_000, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip("\n")
