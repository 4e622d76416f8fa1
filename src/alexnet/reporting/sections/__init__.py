"""The sections of the report, in their order: each is a function from facts to HTML."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from alexnet.reporting.facts import Facts
from alexnet.reporting.sections.classes import class_table, confusion
from alexnet.reporting.sections.confidence import confidence
from alexnet.reporting.sections.data import data
from alexnet.reporting.sections.foreign import foreign
from alexnet.reporting.sections.headline import headline
from alexnet.reporting.sections.learned import attention, first_kernels, guesses, nearest
from alexnet.reporting.sections.mistakes import confused_pairs, least_sure, worst_mistakes
from alexnet.reporting.sections.network import network
from alexnet.reporting.sections.settings import repeat, settings
from alexnet.reporting.sections.training import training


@dataclass(frozen=True)
class Section:
    """One section: its id, by which links lead to it, its title, and the function that makes it."""

    id: str
    title: str
    make: Callable[[Facts], Markup]


# By part of the report.
PARTS: dict[str, tuple[Section, ...]] = {
    "Results": (
        Section("summary", "In short", headline),
        Section("confusion", "Confusion matrix", confusion),
        Section("classes", "Classes", class_table),
        Section("calibration", "Calibration", confidence),
    ),
    "Mistakes": (
        Section("mistakes", "Worst mistakes", worst_mistakes),
        Section("unsure", "Right, but least sure", least_sure),
        Section("pairs", "Most confused classes", confused_pairs),
        Section("foreign", "Images of no class", foreign),
    ),
    "What it learned": (
        Section("guesses", "Five guesses", guesses),
        Section("attention", "Where it looks", attention),
        Section("neighbours", "Nearest training images", nearest),
        Section("kernels", "First kernels", first_kernels),
    ),
    "How it was made": (
        Section("data", "Data", data),
        Section("training", "Training", training),
        Section("network", "Network", network),
        Section("settings", "Settings", settings),
        Section("repeat", "Repeat this run", repeat),
    ),
}
