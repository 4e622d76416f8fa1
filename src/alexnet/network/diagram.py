"""A network for people to read: torchinfo's table, a Mermaid drawing, JSON. All are made from the architecture."""

import json
from typing import TYPE_CHECKING, Any

from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, LocalNorm
from alexnet.network.value.operations import NORM_NAMES, POOL_NAMES, Op

if TYPE_CHECKING:
    from alexnet.network.module.model import AlexNet


def table(architecture: Architecture) -> str:
    """Return torchinfo's table for one image. For the default network it is the reference document's 49 lines."""
    from alexnet.network.module.model import without_weights

    return summary(without_weights(architecture))


def summary(model: "AlexNet") -> str:
    """Return torchinfo's table of a network for one image of its ``image_size``."""
    import torch
    import torchinfo

    net = model.architecture
    weight = next(model.parameters())
    # Not input_size=, with which torchinfo would make an image in float32 only.
    image = torch.zeros(1, net.in_channels, net.image_size, net.image_size, dtype=weight.dtype, device=weight.device)
    return str(torchinfo.summary(model, input_data=image, device=weight.device, verbose=0))


def mermaid(architecture: Architecture) -> str:
    """Return a Mermaid flow chart in the wording of the reference document.

    Convolutions, pools and linear layers are boxes. The operations between two boxes are written on the arrow.
    """
    net = architecture
    size = net.image_size
    lines = ["graph TD;"]
    box, arrow_words = _box_name(0), list[str]()
    label = f"{box}[Input: {_times(net.in_channels, size, size)}]"
    n_boxes = 1
    for op in net.operations():
        words = _box_words(net, op)
        if words is None:
            arrow_words.append(_arrow_word(net, op))
            continue
        box = _box_name(n_boxes)
        n_boxes += 1
        arrow = _arrow(arrow_words) if n_boxes > 2 else "--->"  # the document's first arrow is longer
        lines.append(f'    {label} {arrow} {box}["{words}"];')
        label, arrow_words = box, []
    lines.append(f"    {label} {_arrow(arrow_words)} {_box_name(n_boxes)}[Output];")
    return "\n".join(lines)


def as_json(architecture: Architecture) -> str:
    """Return one JSON object: the architecture, its counts, and every operation with its shape."""
    ops: list[dict[str, Any]] = [
        {
            "layer": op.layer,
            "kind": op.kind,
            "shape": list(op.shape),
            "n_parameters": op.n_parameters,
            "n_mult_adds": op.n_mult_adds,
        }
        for op in architecture.operations()
    ]
    whole = {
        "architecture": architecture.to_json(),
        "n_parameters": architecture.n_parameters,
        "n_mult_adds": architecture.n_mult_adds,
        "smallest_image_size": architecture.smallest_image_size,
        "operations": ops,
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def _box_words(net: Architecture, op: Op) -> str | None:
    """Return the text of the operation's box; None if the operation belongs on an arrow."""
    if op.kind == "Linear":
        return f"Linear(): {op.shape[0]}"
    if op.kind != "Conv" and op.kind not in POOL_NAMES.values():
        return None
    layer = _layer(net, op)
    if op.kind != "Conv":
        assert layer.pool is not None
        kernel, stride = layer.pool.kernel, layer.pool.stride
        options = [layer.pool.kind, f"kernel={_times(kernel, kernel)}", f"stride={stride}"]
        options += ["rounding=up"] if layer.pool.rounding == "up" else []
        return f"Pool({','.join(options)}): {_times(*op.shape)}"
    options = [f"kernel={_times(layer.kernel, layer.kernel)}"]
    if layer.padding:
        options.append(f"pad={layer.padding}")
    if layer.stride > 1:
        options.append(f"stride={layer.stride}")
    if layer.rounding == "up":
        options.append("rounding=up")
    if layer.groups > 1:
        options.append(f"groups={layer.groups}")
    return f"Conv({','.join(options)}): {_times(*op.shape)}"


def _arrow_word(net: Architecture, op: Op) -> str:
    if op.kind == "Flatten":
        return "flatten"
    if op.kind == "Dropout":
        return f"Dropout({net.dropout:g})"
    if op.kind == "AdaptiveAvgPool":
        return f"AdaptiveAvgPool({_times(*op.shape[1:])})"
    if op.kind == NORM_NAMES["local"]:
        groups = max(norm.groups for norm in _layer(net, op).norms.values() if isinstance(norm, LocalNorm))
        return f"{op.kind}(groups={groups})" if groups > 1 else op.kind
    return op.kind


def _layer(net: Architecture, op: Op) -> Conv:
    return next(layer for name, layer, _ in net.conv_layers() if name == op.layer)


def _arrow(words: list[str]) -> str:
    if not words:
        return "-->"
    text = ";".join(words)
    return f"-- {text} -->" if text.isalnum() else f'-- "{text}" -->'


def _box_name(number: int) -> str:
    """Return A to Z, then A1 to Z1, and so on."""
    letter = chr(ord("A") + number % 26)
    return letter if number < 26 else f"{letter}{number // 26}"


def _times(*sides: int) -> str:
    return " x ".join(str(side) for side in sides)
