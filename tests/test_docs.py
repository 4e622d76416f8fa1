"""Every code block of the documents is run, in order, in a folder with a folder ``images``.

Lines of ``make`` and of benchmarks would take minutes and install anew: of those, only that they exist.
"""

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.cli import run as run_alexnet
from alexnet.network.value.variants import VARIANTS

from .conftest import make_image_folder
from .training.small import narrow

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def code_blocks(document: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def run_shell(line: str) -> None:
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "make":
        # make would install and train anew; that its target exists is what can be said here.
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.M), line
    elif words[0] == "alexnet":
        assert run_alexnet(words[1:]) == 0, line
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(ROOT)
            patch.setattr(sys, "argv", [*words[2:], "--help"])
            # As in a process of its own: one benchmark imports others, which runpy would warn of.
            for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
                patch.delitem(sys.modules, name)
            with pytest.raises(SystemExit, match="0"):
                runpy.run_module(words[2], run_name="__main__")
    else:
        pytest.fail(f"nobody knows how to run {line!r}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_code_blocks_run(document, tmp_path, monkeypatch, capsys) -> None:
    make_image_folder(tmp_path / "images", n_each=20)
    (tmp_path / "images" / "blue").rename(tmp_path / "images" / "glass")
    monkeypatch.chdir(tmp_path)
    if document.name != "report.md":  # a report takes longer than such a training
        monkeypatch.setattr("alexnet.commands.training._write_report", lambda folder: None)
    for variant in ("batchnorm", "small"):  # what the documents say holds for narrow networks as well
        monkeypatch.setitem(VARIANTS, variant, narrow(VARIANTS[variant]))
    for language, code in code_blocks(document):
        # The time is what a reader has; a test has less.
        quick = re.sub(r"\b\d+m\b", "2s", code)
        if language == "bash":
            for line in quick.splitlines():
                run_shell(line)
        elif language == "python":
            exec(compile(quick, document.name, "exec"), {})
        elif language == "mermaid":
            assert code.startswith("graph TD;")
        else:
            assert language == "text", f"a block of {language!r} that nobody runs"


def test_the_page_of_the_family_is_what_the_architectures_say() -> None:
    page = ROOT / "docs" / "family.md"
    script = [sys.executable, "examples/family_page.py", "/dev/stdout"]
    written = subprocess.run(script, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert written == page.read_text(encoding="utf-8"), "run: python examples/family_page.py docs/family.md"


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        links = re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8"))
        for target, anchor in links:
            page = document.parent / target if target else document
            assert page.exists(), f"{document.name}: {target}"
            assert not anchor or anchor in anchors(page), f"{document.name}: {target}#{anchor}"


def test_documents_name_no_machine() -> None:
    assert os.fspath(ROOT) not in "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
