"""The data: how much of it there is, and what is wrong with it."""

from itertools import groupby

from markupsafe import Markup

from alexnet.data.findings import ADVICE, Finding
from alexnet.data.source import SPLITS
from alexnet.reporting.facts import Data, Facts, known
from alexnet.reporting.html import counted, details, items, lines, paragraph, table

# Rows of one kind; alexnet check lists all.
MOST_LISTED = 20
# With more classes, their table is folded.
FEW_CLASSES = 12


def data(facts: Facts) -> Markup:
    """Return how many images there are of each class and split, what was skipped, and what else was found."""
    known_data = known(facts.data)
    where = facts.artifact.provenance.get("data", "")
    how = facts.artifact.preprocessing
    n, n_classes = sum(sum(each.values()) for each in known_data.counts.values()), len(facts.artifact.classes)
    return lines((
        paragraph(
            Markup("{} of {} in <code>{}</code>.").format(
                counted(n, "image"), counted(n_classes, "class", "classes"), where
            ),
            f"Each was resized to {how.store_size} px ({how.resize}), and then to "
            f"{facts.artifact.architecture.image_size} px for the network.",
        ),
        _splits(known_data),
        _classes(known_data),
        _skipped(known_data),
        _findings(known_data.findings),
        _warnings(known_data.warnings),
        _missing(known_data),
    ))  # fmt: skip


def _splits(known_data: Data) -> Markup:
    rows: list[tuple[object, ...]] = []
    for split in SPLITS:
        of_class = {label: counts[split] for label, counts in known_data.counts.items() if counts[split]}
        if of_class:
            (small, n_small), (large, n_large) = (
                pick(of_class.items(), key=lambda pair: pair[1]) for pick in (min, max)
            )
            extremes = f"{small}: {n_small:,}", f"{large}: {n_large:,}"
            rows.append((split, sum(of_class.values()), len(of_class), *extremes))
    columns = ("split", "images", "classes", "smallest class", "largest class")
    return table(columns, rows, name="Images by split")


def _classes(known_data: Data) -> Markup:
    splits = [split for split in SPLITS if any(counts[split] for counts in known_data.counts.values())]
    rows = [
        (label, *(counts[split] for split in splits), sum(counts.values()))
        for label, counts in known_data.counts.items()
    ]
    whole = table(("class", *splits, "all"), rows, name="Images by class", sortable=True)
    return details("Images of each class", whole, is_open=len(rows) <= FEW_CLASSES)


def _skipped(known_data: Data) -> Markup:
    if known_data.missing:
        return Markup()
    n = len(known_data.skipped)
    if not n:
        return paragraph("Every image could be read.")
    shown = [Markup("<code>{}</code>: {}").format(*each) for each in list(known_data.skipped.items())[:MOST_LISTED]]
    return details(
        f"{counted(n, 'image')} could not be read and {'was' if n == 1 else 'were'} left out", _some(shown, n)
    )


def _findings(findings: tuple[Finding, ...]) -> Markup:
    parts = []
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        found = list(group)
        shown = [_finding(each) for each in found[:MOST_LISTED]]
        summary = Markup("{}: {} <small>{}</small>").format(kind.replace("_", " "), len(found), ADVICE[kind])
        parts.append(details(summary, _some(shown, len(found))))
    return lines(parts)


def _finding(finding: Finding) -> Markup:
    paths = Markup(", ").join(Markup("<code>{}</code>").format(path) for path in finding.paths[:4])
    more = f" and {len(finding.paths) - 4} more" if len(finding.paths) > 4 else ""
    return Markup("{}{}: {}").format(paths, more, finding.what) if finding.paths else Markup("{}").format(finding.what)


def _warnings(warnings: tuple[str, ...]) -> Markup:
    return details(counted(len(warnings), "note") + " on the data", items(warnings)) if warnings else Markup()


def _missing(known_data: Data) -> Markup:
    if known_data.missing is None:
        return Markup()
    return paragraph(f"Duplicates and unreadable images are not listed: {known_data.missing}.", kind="missing")


def _some(shown: list[Markup], n: int) -> Markup:
    more = [Markup("and {} more; see <code>alexnet check</code>").format(n - len(shown))] if n > len(shown) else []
    return items([*shown, *more])
