"""Write the report on a run."""

import os
from pathlib import Path

from alexnet.data.parallel import Track, untracked
from alexnet.errors import RunError
from alexnet.files.atomic import atomic_file
from alexnet.files.paths import expanded
from alexnet.reporting.gathering import gather
from alexnet.reporting.page import GENERATOR, page
from alexnet.training.run.run import Run

REPORT_FILE = "report.html"


def report(
    run: str | os.PathLike[str] | Run,
    out: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    track: Track = untracked,
) -> Path:
    """Write what is known of a finished run as one HTML file, and return its path.

    The network is evaluated on the run's ``test`` images, or on ``val`` where it has none. The file needs no internet
    and no other file; its links lead to the images where they are files on this machine. A part that cannot be made
    says why in its place.

    Args:
        run: the run folder, or what ``train`` returned.
        out: the file to write; by default ``report.html`` in the run folder. An older report is replaced.
        data: where the images of the run are now; by default where they were.
        track: how progress is shown.

    Raises:
        RunError: it is not a run folder, or another file or a folder is at ``out``.
        ArtifactError: the run has no model yet, or it is damaged.
        OSError: the file cannot be written.
    """
    folder = run.folder if isinstance(run, Run) else expanded(run)
    file = folder / REPORT_FILE if out is None else expanded(out)
    _refuse_others(file)
    text = page(gather(folder, data, track))
    # Names of files may hold bytes that are not text.
    content = text.encode("utf-8", errors="backslashreplace")
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as opened:
        opened.write(content)
    return file


def _refuse_others(file: Path) -> None:
    """Refuse to replace anything but a report, and a folder that cannot be written to.

    Raises:
        RunError: something else is there, or nothing can be written there.
    """
    folder = next(each for each in file.absolute().parents if each.exists())
    if not os.access(folder, os.W_OK):
        raise RunError(f"the folder {str(folder)!r} cannot be written to; choose another file with --out")
    if not os.path.lexists(file):
        return
    if file.is_file():
        with file.open("rb") as opened:
            if GENERATOR.encode() in opened.read(1000):
                return
    raise RunError(f"{str(file)!r} exists and is not a report; choose another file with --out, or move it away")
