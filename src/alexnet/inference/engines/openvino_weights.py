"""Reads weights by name out of a network that OpenVINO has read."""

from typing import Any

import numpy as np

from alexnet.errors import ArtifactError
from alexnet.model.onnx_file import Floats, weight_name


def weights_of(network: Any) -> dict[str, Floats]:
    """Return the weights of an ``openvino.Model`` by their names in the state dict, in float32.

    Those in 8 bits are followed to where they are scaled back.
    """
    found = {}
    for op in network.get_ops():
        name = weight_name(op.get_friendly_name()) if op.get_type_name() == "Constant" else None
        if name is not None:
            found[name] = _scaled_back(op)
    return found


def _scaled_back(op: Any) -> Floats:
    """Return the numbers of a constant after the steps that convert, shift and scale it.

    Raises:
        ArtifactError: integers are scaled in a way that is not known here.
    """
    name, is_scaled = op.get_friendly_name(), op.get_element_type().is_real()
    numbers = _numbers(op)
    while not is_scaled:
        targets = list(op.output(0).get_target_inputs())
        step = targets[0].get_node() if len(targets) == 1 else None
        kind = None if step is None else step.get_type_name()
        if step is None or kind not in ("Convert", "Subtract", "Multiply"):
            raise ArtifactError(
                f"the weights {name!r} of OpenVINO's network are scaled in an unknown way; export it again"
            )
        if kind != "Convert":
            other = _constant(step.input_value(1 - targets[0].get_index()).get_node())
            numbers = numbers - other if kind == "Subtract" else numbers * other
        is_scaled = kind == "Multiply"
        op = step
    return numbers


def _constant(op: Any) -> Floats:
    """Return the numbers of a constant, also where it is converted or reshaped first."""
    shape = list(op.output(0).get_shape())
    while op.get_type_name() in ("Convert", "Reshape"):
        op = op.input_value(0).get_node()
    return _numbers(op).reshape(shape)


def _numbers(constant: Any) -> Floats:
    return np.asarray(constant.get_data(dtype=np.float32))
