import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from alexnet import Settings, cli
from alexnet.commands import COMMANDS
from alexnet.commands.help import GROUPS, Option, options, page

TRAINING_PAGE = Path(__file__).parents[2] / "docs" / "training.md"
# What must be given, and what is shown as a default but is not typed.
ARGUMENTS = {
    "check": ["x"], "evaluate": ["x"], "report": ["x"], "export": ["x"], "serve": ["x"],
    "predict": ["x", "y"], "explain": ["x", "y"], "push": ["x", "y"],
}  # fmt: skip
NOT_TYPED = {"DATA", "NAME...", "--calibrate", "--data", "--out", "--track", "--ensemble", "--split-seed", "--cors"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_one_group(name) -> None:
    shown = options(COMMANDS[name])
    assert {option.group for option in shown} <= set(GROUPS)
    names = [option.name for option in shown]
    assert sorted(names) == sorted(set(names))
    text = page(name, COMMANDS[name], {})
    for option in shown:
        assert len(re.findall(rf"^  {re.escape(option.usage)}(?=  )", text, flags=re.MULTILINE)) == 1


def test_no_option_of_training_is_without_a_group() -> None:
    shown = options(COMMANDS["train"])
    assert "options" not in {option.group for option in shown}
    assert {f"--{field.name.replace('_', '-')}" for field in fields(Settings)} <= {option.name for option in shown}
    assert len([option for option in shown if option.group == "common" and option.name != "DATA"]) == 8


@pytest.mark.parametrize("name", COMMANDS)
def test_every_choice_is_named(name) -> None:
    for option in options(COMMANDS[name]):
        for choice in option.choices:
            assert re.search(rf"\b{choice}\b", f"{option.value} {option.text}"), f"{option.name} {choice}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_default_shown_is_the_default(name) -> None:
    """Every option typed with its default parses to the same call as none."""
    given = ARGUMENTS.get(name, [])
    typed = [
        word
        for option in options(COMMANDS[name])
        if option.default is not None and option.name not in NOT_TYPED
        for word in (option.name, option.default)
    ]
    call, same = cli._parse(name, given, {}), cli._parse(name, [*given, *typed], {})
    assert (call.args, call.keywords) == (same.args, same.keywords)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_parses(name) -> None:
    examples = page(name, COMMANDS[name], {}).split("\nexamples:\n")[1].splitlines()
    assert examples
    for example in examples:
        program, command, *arguments = shlex.split(example.partition(" > ")[0])
        assert (program, command) == ("alexnet", name)
        cli._parse(command, arguments, {})


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_the_screen(name, columns, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.run([*([name] if name else []), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any(line.endswith(" ") for line in lines)
    if name != "train":
        assert len(lines) <= 40
    else:
        assert next(number for number, line in enumerate(lines) if line == "network:") <= 26
        # On one line each, but for the variants, which are many.
        assert sum(line.startswith("   ") for line in lines[lines.index("common:") :]) <= 1


def test_settings_of_a_file_are_shown_as_defaults(tmp_path, capsys) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"epochs": 7, "hidden": [64, 32], "track": ["wandb"]}))
    assert cli.run(["train", "--settings", str(tmp_path / "settings.json"), "--help"]) == 0
    out = capsys.readouterr().out
    for option, default in (("--epochs N", "7"), ("--hidden N...", "64 32"), ("--track NAME...", "wandb")):
        assert re.search(rf"^  {re.escape(option)} .*\[{default}\]$", out, flags=re.MULTILINE)


def test_help_imports_nothing_heavy() -> None:
    script = """
import sys
from alexnet.cli import run
run(["train", "--help"])
print(sorted({"tyro", "torch", "numpy", "PIL", "rich", "urllib.request"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def row(option: Option) -> str:
    default = "" if option.default is None else f"`{option.default}`"
    return f"| `{option.usage}` | {default} | {option.text} |"


@pytest.mark.parametrize("group", GROUPS[1:])
def test_the_page_lists_the_same_options(group) -> None:
    section = TRAINING_PAGE.read_text(encoding="utf-8").split(f"\n### Options: {group}\n")[1]
    rows = re.findall(r"^\|.*\|$", section.split("\n#")[0], flags=re.MULTILINE)
    shown = [option for option in options(COMMANDS["train"]) if option.group == group and option.name != "DATA"]
    expected = ["| option | default | what it does |", "|---|---|---|", *map(row, shown)]
    assert rows == expected, "\n".join(expected)
