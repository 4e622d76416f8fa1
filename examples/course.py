"""Execute the notebooks of docs/course and write their outputs into them: python examples/course.py [NOTEBOOK...].

Each runs in an empty folder of its own. No times, counts of earlier executions or versions are written, so a second
run changes nothing but what the notebooks compute.
"""

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

COURSE = Path(__file__).parents[1] / "docs" / "course"
SECONDS_PER_CELL = 300
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook: NotebookNode, folder: str) -> None:
    """Execute a notebook in a folder; its outputs are replaced.

    Raises:
        CellExecutionError: a cell raises an error, which is shown with the cell.
    """
    # Outputs of one stream come in parts, as the kernel's timer cuts them.
    NotebookClient(
        notebook,
        # Sockets in the folder: no port is opened.
        config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
    ).execute()
    notebook.metadata = nbformat.from_dict(METADATA)


def write_outputs(path: Path) -> str:
    """Execute a notebook and write its outputs into it; return its name."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, folder)
    nbformat.write(notebook, path)
    return path.name


def main(paths: list[Path]) -> None:
    """Execute notebooks, as many at a time as there are cores: each computes with one thread."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # else the kernel may warn of its debugger
    with ProcessPoolExecutor(min(len(paths), os.cpu_count() or 1)) as processes:
        for name in processes.map(write_outputs, paths):
            print(name, flush=True)


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]] or sorted(COURSE.glob("*.ipynb")))
