"""Results as text: tables for people, JSON and CSV for programs."""

import csv
import io
import json
from collections.abc import Callable
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alexnet.evaluation.scoring import Judged
from alexnet.inference.classifier import Answer

# A confusion matrix of more classes than this would not fit on a screen.
MOST_CONFUSION_COLUMNS = 12


def evaluation(judged: Judged) -> str:
    """Return the scores, the table by class and, for few classes, the confusion matrix."""
    scores = judged.evaluation
    what = f"{judged.split} pictures of {judged.data}" if judged.split else f"pictures of {judged.data}"
    k = min(5, len(scores.per_class))
    head = (
        f"{scores.n_images} {what}\n"
        f"top-1 {scores.top1:.4f}   top-{k} {scores.top5:.4f}   loss {scores.loss:.4f}   "
        f"calibration error {scores.ece:.4f}\n"
    )
    classes = _table("class", "pictures", "recall", "precision")
    for score in scores.per_class:
        # Without any picture of a class there is nothing to recall.
        recall = f"{score.recall:.3f}" if score.n_images else "-"
        classes.add_row(Text(score.label), str(score.n_images), recall, f"{score.precision:.3f}")
    parts = [head, _text(classes)]
    if len(scores.per_class) <= MOST_CONFUSION_COLUMNS:
        matrix = _table("true \\ answered", *(score.label for score in scores.per_class))
        for score, row in zip(scores.per_class, scores.confusion, strict=True):
            matrix.add_row(Text(score.label), *(str(count) if count else "." for count in row))
        parts += ["", _text(matrix)]
    return "\n".join(parts)


def evaluation_json(judged: Judged) -> str:
    """Return the scores as one JSON object."""
    return json.dumps(judged.evaluation.to_json())


AnswerFormat = Literal["table", "json", "csv"]


def answer_lines(kind: AnswerFormat, top: int) -> Callable[[Answer], str]:
    """Return what turns an answer into one line; every line of CSV has a place for ``top`` classes."""
    return {"table": _answer_words, "json": _answer_json, "csv": _answer_csv(top)}[kind]


def answer_header(kind: AnswerFormat, top: int) -> str | None:
    """Return the line that stands before all answers, if there is one."""
    if kind != "csv":
        return None
    ranked = (f"{what}_{place}" for place in range(1, top + 1) for what in ("label", "probability"))
    return ",".join(("path", *ranked, "error"))


def _answer_words(answer: Answer) -> str:
    if answer.error is not None:
        return f"{answer.path}  cannot be read: {answer.error}"
    ranked = "  ".join(f"{each.label} {each.probability:.1%}" for each in answer.predictions)
    return f"{answer.path}  {ranked}"


def _answer_json(answer: Answer) -> str:
    return json.dumps(answer.to_json(), ensure_ascii=False)


def _answer_csv(top: int) -> Callable[[Answer], str]:
    def line(answer: Answer) -> str:
        cells = [cell for each in answer.predictions for cell in (each.label, f"{each.probability:.6f}")]
        cells += [""] * (2 * top - len(cells))
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow((answer.path, *cells, answer.error or ""))
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
