"""Reads weights by name out of a network that OpenVINO has read."""

from typing import Any

import numpy as np

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
    """Return the numbers of a constant after the steps that convert, shift and scale it."""
    numbers = _numbers(op)
    while True:
        (target, *others) = op.output(0).get_target_inputs()
        step = target.get_node()
        constants = [each.get_source_output().get_node() for each in step.inputs()]
        constants = [each for each in constants if each.get_type_name() == "Constant"]
        kind = step.get_type_name()
        if others or kind not in ("Convert", "Subtract", "Multiply") or (kind != "Convert" and not constants):
            return numbers
        if kind == "Subtract":
            numbers = numbers - _numbers(constants[0])
        elif kind == "Multiply":
            numbers = numbers * _numbers(constants[0])
        op = step


def _numbers(constant: Any) -> Floats:
    return np.asarray(constant.get_data(dtype=np.float32))
