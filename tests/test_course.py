"""The notebooks of docs/course: they run from nothing, and what is saved in them is fit to be read."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "docs" / "course"
NOTEBOOKS = sorted(COURSE.glob("*.ipynb"))
PATHS = re.compile(r"(?<![\w:/])(?:/(?:home|root|tmp|work|Users|private|var|usr|opt)/|[A-Z]:\\)")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(notebook: nbformat.NotebookNode) -> str:
    """Return the sources and the text of the outputs, without images."""
    parts = [cell.source for cell in notebook.cells]
    for output in outputs(notebook):
        parts += [output.get("text", "")]
        parts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)


def test_there_are_five_and_they_are_small() -> None:
    assert len(NOTEBOOKS) == 5
    assert sum(path.stat().st_size for path in COURSE.iterdir()) < 1_500_000


@each_notebook
def test_a_notebook_runs_from_nothing(path, tmp_path) -> None:
    copy = Path(shutil.copy(path, tmp_path))
    before = read(path)
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, copy)
    # Whatever would be downloaded is refused: nothing listens there.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        nowhere[variable] = str(tmp_path / variable.lower())
    script = [sys.executable, "examples/course.py", str(copy)]
    ended = subprocess.run(script, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    after = read(copy)
    shape = [(cell.id, cell.cell_type, cell.source) for cell in before.cells]
    assert [(cell.id, cell.cell_type, cell.source) for cell in after.cells] == shape
    kinds = [[output.output_type for output in outputs(each)] for each in (before, after)]
    assert kinds[0] == kinds[1], "run: make course"
    assert sorted(tmp_path.glob("*.ipynb")) == [copy]


@each_notebook
def test_what_is_saved_in_a_notebook_is_fit_to_be_read(path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make course"
    saved = outputs(notebook)
    assert any("image/png" in output.get("data", {}) for output in saved)
    assert [output for output in saved if output.output_type == "error" or output.get("name") == "stderr"] == []
    assert not PATHS.search(texts(notebook))
    assert not any("execution" in cell.metadata for cell in code)


@each_notebook
def test_a_notebook_has_a_goal_and_questions(path) -> None:
    cells = read(path).cells
    title, goal = cells[0].source.split("\n\n")
    assert title.startswith(f"# {path.name[0]}. ")
    assert len(re.findall(r"\.(?:\s|$)", goal)) == 2, "a goal in two sentences"
    heading, questions = cells[-1].source.split("\n\n")
    assert heading == "## Questions"
    assert len(re.findall(r"^\d\. ", questions, flags=re.M)) in (2, 3)


@pytest.mark.parametrize(("text", "found"), [
    ("/tmp/x", True),
    ("in '/home/me/a.png'", True),
    (r"C:\Users", True),
    ("a/tmp/x", False),
    ("https://x.org/home/a", False),
])  # fmt: skip
def test_paths_of_a_machine_are_found(text, found) -> None:
    assert bool(PATHS.search(text)) is found
