"""The network: a drawing of its layers, and every operation with its shape and counts."""

import math
from itertools import groupby

from markupsafe import Markup

from alexnet.network.value.architecture import Architecture
from alexnet.network.value.operations import Op, Shape
from alexnet.reporting.facts import Facts
from alexnet.reporting.html import details, lines, paragraph, table, wide

# In pixels of the drawing: the distance of two layers, the height of the largest map, and room below it for names.
STEP, HEIGHT, BELOW = 92, 130, 40


def network(facts: Facts) -> Markup:
    """Return the drawing and the table of operations."""
    net = facts.artifact.architecture
    return lines((
        paragraph(
            f"Variant {net.variant}: {len(net.layers)} convolutional and {len(net.hidden) + 1} fully-connected layers, "
            f"{net.n_parameters:,} parameters, {net.n_mult_adds / 1e6:,.0f} million multiply-adds for an image of "
            f"{net.image_size} px."
        ),
        wide(drawing(net), "Drawing of the network"),
        details("Every operation", _table(net)),
    ))  # fmt: skip


def drawing(net: Architecture) -> Markup:
    """Return an SVG of the maps after each layer: taller ones are larger, wider ones have more channels."""
    stages: list[tuple[str, Shape]] = [("image", (net.in_channels, net.image_size, net.image_size))]
    stages += [(name, list(ops)[-1].shape) for name, ops in groupby(net.operations(), key=lambda op: op.layer)]
    stages = [stage for stage in stages if stage[0] != "flatten"]
    boxes = lines(_box(number, name, shape, net.image_size) for number, (name, shape) in enumerate(stages))
    words = f"The network layer by layer: {', '.join(name for name, _ in stages)}"
    svg = '<svg class="drawing" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}">{}</svg>'
    width = STEP * len(stages)
    return Markup(svg).format(words, width, HEIGHT + BELOW, width, boxes)


def _box(number: int, name: str, shape: Shape, image_size: int) -> Markup:
    """Return one layer: its box, its name and its shape."""
    if len(shape) == 3:
        width = 5 + 4 * math.log2(1 + shape[0])
        height = max(6.0, HEIGHT * math.sqrt(shape[1] / image_size))
    else:
        width, height = 8.0, max(10.0, 9 * math.log2(1 + shape[0]))
    middle = STEP * (number + 0.5)
    box = '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" class="{}"/>'
    words = '<text x="{0:.1f}" y="{1}" class="name">{2}</text><text x="{0:.1f}" y="{3}">{4}</text>'
    kind = "maps" if len(shape) == 3 else "units"
    drawn = Markup(box).format(middle - width / 2, (HEIGHT - height) / 2, width, height, kind)
    return drawn + Markup(words).format(middle, HEIGHT + 18, name, HEIGHT + 33, _times(shape))


def _table(net: Architecture) -> Markup:
    rows = [_row(op) for op in net.operations()]
    rows.append(("all", "", "", net.n_parameters, net.n_mult_adds))
    return table(("layer", "operation", "output", "parameters", "multiply-adds"), rows, name="Operations")


def _row(op: Op) -> tuple[object, ...]:
    return op.layer, op.kind, _times(op.shape), op.n_parameters or None, op.n_mult_adds or None


def _times(shape: Shape) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(f"{size:,}" for size in shape)
