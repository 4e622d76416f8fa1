"""The settings, the versions and the machine, and the command that repeats the run."""

import json
import platform
import shlex
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from typing import Any

from markupsafe import Markup

from alexnet.data.sources.open import as_recorded
from alexnet.reporting.facts import Facts, known
from alexnet.reporting.html import details, lines, paragraph, table
from alexnet.training.choices.settings import Settings
from alexnet.version import VERSION

# Of what is derived from settings, images and machine: what people ask for first.
SHOWN = ("image_size", "n_epochs", "n_train", "n_val", "store_size")
OF_RECIPE = (
    "name",
    "optimizer",
    "lr",
    "bias_lr",
    "batch_size",
    "weight_decay",
    "label_smoothing",
    "dropout",
    "schedule",
    "ema",
)


def settings(facts: Facts) -> Markup:
    """Return the options that were given, and what followed from them."""
    saved = known(facts.settings)
    given = [(f"--{name.replace('_', '-')}", _written(value)) for name, value in _given(saved).items()]
    resolved = saved.get("resolved", {})
    recipe = resolved.get("recipe", {})
    rows = [(name, _written(resolved.get(name))) for name in SHOWN]
    rows += [(f"recipe: {name}", _written(recipe.get(name))) for name in OF_RECIPE]
    options = table(("option", "value"), given, name="Options given")
    text = json.dumps(saved, indent=2)
    return lines((
        options if given else paragraph("Every option had its default."),
        paragraph("From these, the images and the machine followed:"),
        table(("setting", "value"), rows, name="Resolved settings"),
        details("All of settings.json", Markup("<pre>{}</pre>").format(text)),
    ))  # fmt: skip


def repeat(facts: Facts) -> Markup:
    """Return the command that trains the network again, the machine, and the versions."""
    saved, made = known(facts.settings), facts.artifact.provenance
    resolved = saved.get("resolved", {})
    threads = resolved.get("n_threads")
    rows = [
        ("device", f"{resolved.get('device', 'unknown')}, {resolved.get('precision', 'unknown')}"),
        ("threads", "not recorded" if threads is None else str(threads)),
        ("processes", str(resolved.get("n_processes", 1))),
        ("finished", str(made.get("finished", "unknown"))),
        ("trained with", f"alexnet {made.get('alexnet', 'unknown')}, torch {made.get('torch', 'unknown')}"),
        ("report made with", f"alexnet {VERSION}, torch {version('torch')}, {_python()}"),
    ]
    command = repeating_command(saved)
    return lines((
        Markup('<pre class="command"><code>{}</code></pre>').format(command),
        paragraph(_exactness(saved, threads)),
        table(("what", "value"), rows, name="Machine and versions"),
    ))  # fmt: skip


def repeating_command(saved: Mapping[str, Any]) -> str:
    """Return the command that repeats a run, given the content of its ``settings.json``; defaults are left out.

    Raises:
        SettingsError: the settings are of another version.
    """
    n = saved.get("resolved", {}).get("n_processes", 1)
    # Of several machines, each starts its part; see docs/training.md.
    start = ["alexnet"] if n == 1 else ["torchrun", "--standalone", "--nproc-per-node", str(n), "-m", "alexnet"]
    words = [*start, "train", as_recorded(str(saved["data"]))]
    for name, value in _given(saved).items():
        words.append(f"--{name.replace('_', '-')}")
        words += map(str, value) if isinstance(value, tuple) else [str(value)]
    return shlex.join(words)


def _given(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that differ from their defaults, by name."""
    settings, defaults = Settings.from_json(dict(saved)), Settings()
    names = [field.name for field in fields(Settings)]
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(defaults, name)}


def _exactness(saved: Mapping[str, Any], threads: int | None) -> str:
    if saved.get("time_limit") is not None:
        return "With a time limit the number of epochs depends on the speed of the machine, so the weights will differ."
    if not str(saved.get("resolved", {}).get("device", "cpu")).startswith("cpu"):
        return "On a GPU the last bits of the weights may differ."
    n = "as many threads as then" if threads is None else f"OMP_NUM_THREADS={threads}"
    return f"With {n}, the versions below and the same kind of processor, the weights are the same to the bit."


def _python() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    return "-" if value is None else str(value)
