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

if TYPE_CHECKING:
    from alexnet.inference.classifier import ImagePredictions

# Findings of one kind, and files of one finding. --json prints all.
MOST_SHOWN = 10
MOST_UNUSABLE = 100


def check_report(report: Report) -> str:
    """Return the usable images by class and split, the unusable ones, and the findings by kind."""
    n_unusable, warnings = len(report.unusable), _counted(len(report.warnings), "warning")
    parts = [f"{report.n_usable} usable images in {report.name}, {n_unusable} unusable; {warnings}\n"]
    splits = next(iter(report.classes.values()), {})
    classes = table("class", *splits)
    for label, counts in report.classes.items():
        classes.add_row(Text(label), *map(str, counts.values()))
    classes.add_section()
    classes.add_row("total", *(str(sum(counts[split] for counts in report.classes.values())) for split in splits))
    parts += [text(classes), ""]
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
    made = Table(first, second, box=box.SIMPLE_HEAD, pad_edge=False)
    for left, right in rows[:most]:
        made.add_row(Text(left), Text(right))
    if len(rows) > most:
        made.add_row(f"and {len(rows) - most} more", "")
    return text(made)


def _first(paths: Sequence[str]) -> list[str]:
    more = [f"and {len(paths) - MOST_SHOWN} more"] if len(paths) > MOST_SHOWN else []
    return [*paths[:MOST_SHOWN], *more]


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
        # The writer quotes a name only for the line breaks with which it ends lines.
        csv.writer(buffer, lineterminator="\r\n").writerow((result.path, *cells, result.error or ""))
        return buffer.getvalue().removesuffix("\r\n")

    return line


def table(first: str, *others: str) -> Table:
    """Return a table without rows; all columns but the first are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(Text(first))
    for name in others:
        made.add_column(Text(name), justify="right")
    return made


def text(table: Table) -> str:
    """Render a table as plain text, as wide as it needs to be."""
    console = Console(file=io.StringIO(), width=10_000, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip("\n")
