import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from alexnet.errors import ArtifactError
from alexnet.model.onnx_file import OnnxFile, weight_name

from ..exports import as_stored, factorised, onnx_bytes, random_weights

WEIGHTS = random_weights()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(onnx_bytes(WEIGHTS, "fp32", {"alexnet": '{"ü": 1}', "other": ""}))
    return path


def holding(path, *tensors):
    """Write a file with some tensors."""
    graph = helper.make_graph([], "tensors", [], [], tensors)
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return OnnxFile(path)


def test_metadata_is_read(path) -> None:
    assert OnnxFile(path).metadata == {"alexnet": '{"ü": 1}', "other": ""}


def test_every_tensor_is_what_the_package_onnx_reads(path) -> None:
    file, tensors = OnnxFile(path), onnx.load(path).graph.initializer
    assert len(tensors) > 8
    for tensor in tensors:
        found = file.tensor(tensor.name)
        assert found.dtype == numpy_helper.to_array(tensor).dtype
        assert np.array_equal(found, numpy_helper.to_array(tensor))
    assert file.tensor("fc9.linear.weight") is None


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.uint8, np.int8, np.int32, np.int64])
@pytest.mark.parametrize("raw", [True, False])
def test_numbers_of_every_type_are_read_however_they_are_stored(tmp_path, kind, raw) -> None:
    numbers = np.array([[0, 1, 100], [3, 5, 7]]).astype(kind) * np.array(1 if kind == np.uint8 else -1, kind)
    stored = numbers.tobytes() if raw else numbers.ravel().tolist()
    tensor = helper.make_tensor("x", helper.np_dtype_to_tensor_dtype(numbers.dtype), numbers.shape, stored, raw=raw)
    found = holding(tmp_path / "x.onnx", tensor).tensor("x")
    assert found.dtype == kind
    assert np.array_equal(found, numbers)


def test_a_number_without_a_shape_is_read(tmp_path) -> None:
    found = holding(tmp_path / "x.onnx", numpy_helper.from_array(np.float32(2.5), "x")).tensor("x")
    assert (found.shape, float(found)) == ((), 2.5)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("rank", [None, 4])
def test_weights_have_the_names_of_the_state_dict_and_are_float32(tmp_path, precision, rank) -> None:
    weights = WEIGHTS if rank is None else factorised(WEIGHTS, rank)
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(weights, precision, {}))
    found = OnnxFile(tmp_path / "x.onnx").weights()
    expected = as_stored(weights, precision)
    assert found.keys() == expected.keys()
    for name, each in found.items():
        assert each.dtype == np.float32
        assert np.allclose(each, expected[name], rtol=1e-6, atol=0), name


@pytest.mark.parametrize(("axis", "shape"), [(0, (-1, 1)), (1, (1, -1))])
def test_weights_in_8_bits_are_scaled_along_their_axis(tmp_path, axis, shape) -> None:
    """A square layer fits both ways: only the axis in the file tells."""
    quantized = np.arange(-8, 8, dtype=np.int8).reshape(4, 4)
    scale, zero = np.float32([1, 2, 3, 4]), np.int8([0, 1, 0, -1])
    names = [f"net.fc7.linear.weight{ending}" for ending in ("_quantized", "_scale", "_zero_point")]
    tensors = [numpy_helper.from_array(each, name) for name, each in zip(names, (quantized, scale, zero), strict=True)]
    node = helper.make_node("DequantizeLinear", names, ["w"], axis=axis - 2)
    graph = helper.make_graph([node], "square", [], [], tensors)
    (tmp_path / "x.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (found,) = OnnxFile(tmp_path / "x.onnx").weights().items()
    assert found[0] == "fc7.linear.weight"
    assert np.array_equal(found[1], (quantized - zero.astype(np.float32).reshape(shape)) * scale.reshape(shape))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("conv1.conv.weight", "conv1.conv.weight"),
        ("network.fc6.linear.0.bias", "fc6.linear.0.bias"),
        ("fc6.linear.weight_quantized", "fc6.linear.weight"),
        ("fc8.linear.bias_compressed", "fc8.linear.bias"),
        ("conv5.norm.running_var", "conv5.norm.running_var"),
        ("fc6.linear.weight_scale", None),
        ("fc6.linear.weight_zero_point", None),
        ("onnx::MatMul_12", None),
    ],
)
def test_names_of_weights_are_recognised(name, found) -> None:
    assert weight_name(name) == found


def refusal(path) -> str | None:
    """Return why a file is not read; None if it is."""
    try:
        file = OnnxFile(path)
        return None if file.metadata and file.weights() else "it has nothing in it"
    except ArtifactError as error:
        return str(error)


def test_a_file_cut_off_anywhere_is_refused_and_never_crashes(path, tmp_path) -> None:
    whole = path.read_bytes()
    cut = tmp_path / "cut.onnx"
    read = []
    for end in [0, 1, *range(2, len(whole), len(whole) // 300), *range(len(whole) - 100, len(whole))]:
        cut.write_bytes(whole[:end])
        if refusal(cut) is None:
            read.append(end)
    assert len(read) <= 1, "but for an end between the two entries of the metadata, which stand last"


def test_a_damaged_file_is_refused_or_read_and_never_crashes(path, tmp_path) -> None:
    whole, chance = path.read_bytes(), random.Random(0)
    damaged = tmp_path / "damaged.onnx"
    refused = []
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(20):
            content[chance.randrange(len(content))] = chance.randrange(256)
        damaged.write_bytes(content)
        refused.append(refusal(damaged))
    refused = [reason for reason in refused if reason is not None]
    assert len(refused) > 10
    assert max(map(len, refused)) < 400 + len(str(damaged))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>", bytes(100), b"\x0a\x03abc"])
def test_another_file_is_refused(tmp_path, content) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as an ONNX file"):
        OnnxFile(tmp_path / "x.onnx")


def test_no_file_is_refused(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="No such file"):
        OnnxFile(tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match="Is a directory"):
        OnnxFile(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensor: tensor.dims.__setitem__(0, 5), "holds 4 numbers for the shape"),
        (lambda tensor: setattr(tensor, "raw_data", b"123"), "buffer size"),
        (lambda tensor: setattr(tensor, "data_type", TensorProto.STRING), "of another type"),
        (lambda tensor: setattr(tensor, "data_location", TensorProto.EXTERNAL), "in another file"),
    ],
)
def test_a_damaged_tensor_is_named(tmp_path, change, reason) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "conv1.conv.bias")
    change(tensor)
    with pytest.raises(ArtifactError, match=rf"conv1\.conv\.bias: .*{reason}"):
        holding(tmp_path / "x.onnx", tensor).weights()
