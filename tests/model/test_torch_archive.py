import json
import zipfile

import numpy as np
import pytest

from alexnet.errors import ArtifactError
from alexnet.model.torch_archive import TorchArchive


def tensor(name: str, sizes, strides, offset=0, *, dtype=7, use_pickle=False) -> dict:
    integers = {key: [{"as_int": each} for each in values] for key, values in (("sizes", sizes), ("strides", strides))}
    meta = {"dtype": dtype, **integers, "storage_offset": {"as_int": offset}}
    return {"path_name": name, "is_param": True, "use_pickle": use_pickle, "tensor_meta": meta}


def write(path, weights: dict, files: dict[str, bytes], **texts: str):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small/data/weights/model_weights_config.json", json.dumps({"config": weights}))
        for name, content in files.items():
            archive.writestr(f"small/data/weights/{name}", content)
        for name, text in texts.items():
            archive.writestr(f"small/{name.replace('__', '/')}.json", text)
    return TorchArchive(path)


NUMBERS = np.arange(12, dtype=np.float32)


def test_tensors_are_read_as_they_lie_in_their_storage(tmp_path) -> None:
    weights = {
        "plain": tensor("weight_0", (3, 4), (4, 1)),
        "turned": tensor("weight_0", (4, 3), (1, 4)),
        "part": tensor("weight_0", (2, 2), (4, 1), 5),
        "number": tensor("weight_0", (), (), 11),
        "empty": tensor("weight_0", (0, 4), (4, 1)),
    }
    found = write(tmp_path / "x.pt2", weights, {"weight_0": NUMBERS.tobytes()}).tensors()
    assert np.array_equal(found["plain"], NUMBERS.reshape(3, 4))
    assert np.array_equal(found["turned"], NUMBERS.reshape(3, 4).T)
    assert np.array_equal(found["part"], [[5, 6], [9, 10]])
    assert found["number"] == 11
    assert found["empty"].shape == (0, 4)


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (tensor("weight_0", (3, 4), (4, 1), use_pickle=True), "it is a pickle"),
        (tensor("weight_0", (3, 5), (5, 1)), "12 numbers are too few"),
        (tensor("weight_0", (3, 4), (4, 1), 1), "12 numbers are too few"),
        (tensor("weight_0", (3,), (-1,), 2), "12 numbers are too few"),
        (tensor("weight_0", (10**9,), (0,)), "12 numbers are too few"),
        (tensor("weight_0", (3, 4), (4,)), "shorter"),
        (tensor("weight_0", (3, 4), (4, 1), dtype=13), "13"),
        (tensor("gone", (3, 4), (4, 1)), "gone"),
        ({**tensor("weight_0", (3,), (1,)), "tensor_meta": None}, "fc6"),
    ],
)
def test_a_tensor_that_is_not_read_is_named(tmp_path, weight, reason) -> None:
    archive = write(tmp_path / "x.pt2", {"fc6.linear.weight": weight}, {"weight_0": NUMBERS.tobytes()})
    with pytest.raises(ArtifactError, match=rf"x\.pt2' cannot be read as a \.pt2 file .*{reason}"):
        archive.tensors()


def test_texts_and_the_program_are_read(tmp_path) -> None:
    archive = write(tmp_path / "x.pt2", {}, {}, extra__alexnet="{}", models__model='{"graph_module": {"graph": 1}}')
    assert archive.extra("alexnet.json") == "{}"
    assert archive.extra("other.json") is None
    assert archive.program() == {"graph": 1}


@pytest.mark.parametrize("program", ["[]", "{", '{"graph_module": 3}', "{}"])
def test_a_damaged_program_is_refused(tmp_path, program) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be read as a \.pt2 file"):
        write(tmp_path / "x.pt2", {}, {}, models__model=program).program()


def test_an_archive_that_is_cut_off_or_damaged_is_refused(tmp_path) -> None:
    path = tmp_path / "x.pt2"
    write(path, {"w": tensor("weight_0", (12,), (1,))}, {"weight_0": NUMBERS.tobytes()})
    whole = path.read_bytes()
    place = whole.index(NUMBERS.tobytes())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="not a zip file"):
        TorchArchive(path)
    path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
    with pytest.raises(ArtifactError, match="Bad CRC"):
        TorchArchive(path).tensors()
    with pytest.raises(ArtifactError, match="No such file"):
        TorchArchive(tmp_path / "gone.pt2")
