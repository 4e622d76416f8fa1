"""The command that runs the paper's experiments."""

from pathlib import Path
from typing import Annotated, Literal

from alexnet.commands.usage import at_least_1


def reproduce(
    name: tuple[str, ...] = (),
    /,
    *,
    scale: Literal["smoke", "cpu", "gpu"] = "cpu",
    data: Annotated[str | None, "options", "FOLDER", "auto"] = None,
    out: Annotated[str | None, "options", "FOLDER", "auto"] = None,
    jobs: int | None = None,
) -> int:
    """Repeat the paper's experiments at a size that anyone can run.

    Each run is stored at once as JSON; those that are there already with the same settings are not computed again, so
    the same command continues after a stop. At the end docs/paper.md is written anew from all stored runs. It needs a
    clone of the repository.

    Args:
        name: Experiments, such as relu and norm; all where none is named.
        scale: smoke takes seconds and shows nothing; cpu about two hours of two cores; gpu ten minutes of one H100.
        data: Folder with cifar10_jpeg.zip and trashnet5; auto: ../shared/data. Named sets stand for missing ones.
        out: Folder of the results and the page; auto: experiments/results and docs.
        jobs: Runs at the same time; auto: as many as cores, or one on a GPU.

    Examples:
        alexnet reproduce relu
        alexnet reproduce --scale gpu
        alexnet reproduce norm pools --scale smoke --out smoke
    """
    from alexnet.commands.terminal import display
    from alexnet.errors import whole_package

    at_least_1("jobs", jobs)
    with whole_package("alexnet reproduce"):
        from alexnet.reproduction.reproduce import reproduce as run
    page = run(
        name,
        scale,
        data=None if data is None else Path(data).expanduser(),
        out=None if out is None else Path(out).expanduser(),
        jobs=jobs,
        say=display.say,
    )
    print(f"written to {page}")
    return 0
