from pathlib import Path

import pytest

from ...exports import random_weights, write_folder, write_onnx, write_openvino


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network in every format, and as the model folder; tests must not change them."""
    folder, weights = tmp_path_factory.mktemp("exports"), random_weights()
    return {
        "folder": write_folder(folder / "small", weights),
        "onnx": write_onnx(folder / "small.onnx", weights),
        "fp16": write_onnx(folder / "small-fp16.onnx", weights, "fp16"),
        "int8": write_onnx(folder / "small-int8.onnx", weights, "int8"),
        "openvino": write_openvino(folder / "small-openvino", weights),
        "openvino-fp16": write_openvino(folder / "small-openvino-fp16", weights, "fp16"),
        "openvino-int8": write_openvino(folder / "small-openvino-int8", weights, "int8"),
    }
