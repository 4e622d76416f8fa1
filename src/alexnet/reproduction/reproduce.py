"""Runs experiments by name and writes the page on them."""

from collections.abc import Sequence
from pathlib import Path

from alexnet.data.parallel import n_cores
from alexnet.errors import DataError, SettingsError
from alexnet.reproduction.findings.page import write_page
from alexnet.reproduction.plan.catalogue import ROOT, chosen, load_experiments
from alexnet.reproduction.plan.value import Scale
from alexnet.reproduction.running.results import Results
from alexnet.reproduction.running.schedule import Say, Schedule


def reproduce(
    names: Sequence[str] = (),
    scale: Scale = "cpu",
    *,
    data: Path | None = None,
    out: Path | None = None,
    jobs: int | None = None,
    say: Say = print,
    root: Path = ROOT,
) -> Path:
    """Run experiments and return the page that is written from all stored runs.

    Args:
        names: which; all where none is named.
        scale: how large.
        data: the folder of the data; ``../shared/data`` beside the clone where that is there.
        out: where results are stored, and the page is written; None for the clone's own places.
        jobs: runs at the same time; None: one a core, or one on a GPU.
        say: prints a line of progress.
        root: the clone.

    Raises:
        InstallError: the package is installed without experiments.
        SettingsError: a name is unknown, or smoke results would be stored in the clone.
        DataError: data is missing.
    """
    experiments = load_experiments(root)
    some = chosen(names, experiments)
    if out is None and scale == "smoke":
        raise SettingsError("results of the scale smoke mean nothing, and the clone does not keep them; give --out")
    if data is not None and not data.is_dir():
        raise DataError(f"there is no folder {str(data)!r}; give the folder of the data sets with --data")
    usual = root.parent / "shared" / "data"
    folder = data if data is not None else usual if usual.is_dir() else None
    results = Results(out if out is not None else root / "experiments" / "results", scale)
    Schedule(results=results, data=folder, jobs=jobs or usual_jobs(scale), say=say).run(some)
    docs = out if out is not None else root / "docs"
    scales: tuple[Scale, ...] = ("smoke",) if scale == "smoke" else ("gpu", "cpu")
    return write_page(list(experiments.values()), results.folder, docs, scales)


def usual_jobs(scale: Scale) -> int:
    """Return how many runs go on at the same time: small networks train fastest with one thread each."""
    import torch

    return 1 if scale != "cpu" or torch.cuda.is_available() else n_cores()
