"""Write docs/family.md from the architectures and their docstrings: python examples/family_page.py docs/family.md."""

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path

from alexnet import VARIANTS, Architecture
from alexnet.network import diagram
from alexnet.network.value import variants
from alexnet.network.value.layers import LocalNorm
from alexnet.network.value.operations import Op

HEAD = """# The family

Six AlexNets, layer by layer. `examples/family_page.py` writes this page from the architectures, and a test checks that
it is up to date. To change a network, see [customizing](customizing.md).
"""


NORM_WORDS = {"LocalResponseNorm": "local norm", "MapResponseNorm": "norm within maps", "BatchNorm": "batch norm"}


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, _overview(), "## Layer by layer\n", _layers(), _about_norm()]
    for name, net in VARIANTS.items():
        parts += [f"## {name}\n", _docstrings()[name.upper()], f"```mermaid\n{diagram.mermaid(net)}\n```\n"]
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        ("image", lambda net: f"{net.image_size} px"),
        ("smallest image", lambda net: f"{net.smallest_image_size} px"),
        ("parameters", lambda net: f"{net.n_parameters:,}"),
        ("multiply-adds", lambda net: f"{net.n_mult_adds / 1e6:,.0f} M"),
        ("dropout", lambda net: f"of {net.dropout_place}, scaled in {net.dropout_scaling}"),
        ("initialisation", lambda net: net.initialisation),
    ]
    return _table(
        [("with 1,000 classes", list(VARIANTS)), *((what, [of(net) for net in VARIANTS.values()]) for what, of in rows)]
    )


def _layers() -> str:
    """Return a table with a row for each layer and a column for each variant."""
    nets = list(VARIANTS.values())
    names = [*dict.fromkeys(op.layer for net in nets for op in net.operations() if op.layer != "flatten")]
    rows = [(name, [_cell(net, [op for op in net.operations() if op.layer == name]) for net in nets]) for name in names]
    return _table([("layer", list(VARIANTS)), *rows])


def _cell(net: Architecture, ops: list[Op]) -> str:
    words = []
    for op in ops:
        shape = "x".join(map(str, op.shape))
        layer = {name: layer for name, layer, _ in net.conv_layers()}.get(op.layer)
        if op.kind == "Conv":
            assert layer is not None
            more = "".join(f", {name} {value}" for name, value, usual in (
                ("stride", layer.stride, 1), ("pad", layer.padding, 0), ("groups", layer.groups, 1),
                ("rounded", layer.rounding, "down"),
            ) if value != usual)  # fmt: skip
            words.append(f"conv {layer.kernel}x{layer.kernel}{more}: {shape}")
        elif op.kind.endswith("Pool"):
            assert layer is not None
            assert layer.pool is not None
            rounded = ", rounded up" if layer.pool.rounding == "up" else ""
            words.append(f"{layer.pool.kind} pool {layer.pool.kernel}/{layer.pool.stride}{rounded}: {shape}")
        elif op.kind == "Linear":
            words.append(f"linear: {shape}")
        else:
            norms = layer.norms.values() if layer else ()
            groups = next((norm.groups for norm in norms if isinstance(norm, LocalNorm) and norm.groups > 1), None)
            within = f", groups {groups}" if groups and op.kind == "LocalResponseNorm" else ""
            words.append(NORM_WORDS.get(op.kind, op.kind) + within)
    return "<br>".join(words)


def _about_norm() -> str:
    """Return the section on local response normalisation, from the docstring of ``LocalNorm``."""
    text = inspect.cleandoc(LocalNorm.__doc__ or "").replace("``", "`")
    return f"## Local response normalisation\n\n{text}\n"


def _docstrings() -> dict[str, str]:
    """Return the docstrings of the constants in ``variants`` by name."""
    body = ast.parse(inspect.getsource(variants)).body
    found = {}
    for statement, after in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            assert isinstance(statement.targets[0], ast.Name)
            found[statement.targets[0].id] = re.sub("``", "`", str(after.value.value))
    return found


def _table(rows: list[tuple[str, list[str]]]) -> str:
    (corner, heads), *rest = rows
    lines = [f"| {corner} | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rest), ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
