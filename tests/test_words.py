"""One concept has one word, the one that practitioners use: the old words stay away."""

import io
import json
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Stems, and words as a whole, with what is said instead.
STEMS = {
    "pictur": "image",
    "photo(?!metric|shop)": "image",
    "remark": "warning, note",
    "judg(?:e|ing|ment)": "evaluate, score",
    "answer": "predict, prediction, respond",
}
WORDS = {
    "var(?:y|ied|ies|ying|iations?)": "augment, augmentation",
    "led|leads": "is_main",
    "leading process": "the main process",
    "gathered": "all_gather",
    "no (?:longer a )?number": "the loss is nan",
    "called (?:so|after|as|like)": "named",
}
# An underscore ends a word as well, and a space may be the end of a line of text or of a comment.
OLD = re.compile(
    rf"\w*(?:{'|'.join(STEMS)})\w*|(?<![^\W_])(?:{'|'.join(WORDS)})(?![^\W_])".replace(" ", r"\s+(?:#\s+)?"),
    re.IGNORECASE,
)
# What must stay: a file, and a part of the line.
ALLOWED: tuple[tuple[str, str], ...] = (
    # Columns of tables that others have made.
    ("src/alexnet/data/sources/tables/columns.py", '"picture", "photo"'),
    ("src/alexnet/data/sources/vocabulary.py", '"picture", "pictures", "photo", "photos"'),
    # What a name was before.
    ("CHANGELOG.md", "`PictureError` is"),
    ("CHANGELOG.md", "`Picture` is"),
    ("CHANGELOG.md", "`remarks` are"),
    ("CHANGELOG.md", "`Classifier.answers` is"),
    ("CHANGELOG.md", "`not_pictures` and `one_picture_class` are"),
)
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml")),
    *(
        path
        for name in ("src", "runtime", "docs", "benchmarks", "examples")
        for path in sorted((ROOT / name).rglob("*.*"))
    ),
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def old_words(path: Path, text: str, first: int = 1) -> list[str]:
    """Return ``file:line: word`` for each old word of a text that is not allowed there; its first line has a number."""
    name = path.relative_to(ROOT).as_posix()
    for file, part in ALLOWED:
        if file == name:
            text = text.replace(part, "")
    return [f"{name}:{first + text.count(chr(10), 0, found.start())}: {found[0]}" for found in OLD.finditer(text)]


def is_text(path: Path) -> bool:
    return path.suffix in {".ipynb", ".md", ".py", ".toml", ".typed"}


def text_of(path: Path) -> str:
    """Return the text of a file; of a notebook, that of its cells, with an empty line between two."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


@pytest.mark.parametrize(("line", "found"), [
    ("a picture of pictures", ["picture", "pictures"]),
    ("n_pictures, PhotoSet and photo 3", ["n_pictures", "PhotoSet", "photo"]),
    ("photometric", []),
    ("judged, judging, unjudged", ["judged", "judging", "unjudged"]),
    ("it varies; a variable, several", ["varies"]),
    ("group.leads; it leads; misled", ["leads", "leads"]),
    ("the leading process, the leading\n    # process", ["leading process", "leading\n    # process"]),
    ("val is no longer a number", ["no longer a number"]),
    ("called so; called twice", ["called so"]),
])  # fmt: skip
def test_old_words_are_found(line, found) -> None:
    assert [each[0] for each in OLD.finditer(line)] == found


def test_no_old_word_is_in_code_messages_or_documents() -> None:
    found = []
    for path in filter(is_text, TEXTS):
        found += old_words(path, text_of(path))
    assert found == []


def test_the_words_of_notebooks_are_read() -> None:
    notebooks = [path for path in TEXTS if path.suffix == ".ipynb"]
    assert len(notebooks) == 5
    assert all("## Questions" in text_of(path) for path in notebooks)


def test_no_old_word_is_in_a_name_of_the_tests() -> None:
    found = []
    for path in TESTS:
        tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        for token in tokens:
            if token.type == tokenize.NAME:
                found += old_words(path, token.string, token.start[0])
    assert found == []
