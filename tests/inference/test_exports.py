"""An exported model predicts what its model folder predicts, and needs none of what training needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet import evaluate, load
from alexnet.errors import ArtifactError, ImageError, SettingsError
from alexnet.images.decoding import decode
from alexnet.images.preprocessing import Preprocessing

from ..exports import CLASSES, random_weights, write_folder, write_onnx

HEAVY = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "onnx", "google.protobuf", "sympy", "pandas")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> dict[str, Path]:
    folder, weights = tmp_path_factory.mktemp("small"), random_weights()
    return {
        "folder": write_folder(folder / "small", weights),
        "onnx": write_onnx(folder / "small.onnx", weights),
        "int8": write_onnx(folder / "small-int8.onnx", weights, "int8"),
    }


def probabilities(results) -> np.ndarray:
    """Return the probabilities of all images, in the order of the classes."""
    rows = [{each.label: each.probability for each in result.predictions} for result in results]
    return np.array([[row[label] for label in CLASSES] for row in rows])


def test_an_export_predicts_as_its_model_folder(small, image_folder) -> None:
    """Torch and Pillow resize single pixels to different levels. In images of noise, many of them differ."""
    images = sorted((image_folder / "red").iterdir())
    folder, export = (probabilities(load(small[kind]).predict(images)) for kind in ("folder", "onnx"))
    assert np.abs(folder - export).max() < 0.02
    together = load(small["folder"], ensemble=[small["onnx"]]).predict(images)
    assert np.abs(probabilities(together) - export).max() < 1e-6, "of several models all see the same pixels"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_predicting_and_evaluating_an_export_agree(small, image_folder, engine) -> None:
    images = sorted((image_folder / "blue").iterdir())
    predicted = probabilities(load(small["onnx"], engine=engine).predict(images))
    result = evaluate(small["onnx"], image_folder, engine=engine)
    rows = [result.outputs.names.index(f"blue/{path.name}") for path in images]
    assert np.abs(result.outputs.probabilities[rows] - predicted).max() < 1e-6
    assert result.engines == (load(small["onnx"], engine=engine).engine.title,)


def test_an_export_and_its_model_folder_are_compared_on_the_same_pixels(small, image_folder) -> None:
    for first, second in (("onnx", "folder"), ("folder", "onnx")):
        result = evaluate(small[first], image_folder, compare=small[second])
        assert np.abs(result.outputs.probabilities - result.other.outputs.probabilities).max() < 1e-5
        assert result.comparison.differences == ()
        assert {engine.partition(" ")[0] for engine in result.engines + result.other.engines} == {"ONNX", "torch"}


def test_ten_views_of_an_export(small, image_folder) -> None:
    result = evaluate(small["onnx"], image_folder, views=10, compare=small["folder"])
    assert np.abs(result.outputs.probabilities - result.other.outputs.probabilities).max() < 1e-5


def test_embeddings_and_everything_else_of_a_classifier_work(small, image_folder) -> None:
    classifier = load(small["onnx"])
    assert classifier.classes == CLASSES
    assert classifier.embed(image_folder / "red" / "photo 1.jpg").shape == (1, 8)
    assert classifier.engines.endswith(", fp32")
    assert str(small["onnx"]) in classifier._repr_html_()


def test_what_is_decoded_first_is_predicted_later(small, image_folder) -> None:
    """As a server does: decode in many threads, predict in one."""
    classifier = load(small["onnx"], ensemble=[small["int8"]])
    paths = sorted((image_folder / "green").iterdir())[:5]
    batch = [classifier.decode(path.read_bytes(), path.name) for path in paths]
    assert [[pixels.shape for pixels in each] for each in batch] == [[(32, 32, 3)] * 2] * 5
    expected = [result.predictions for result in classifier.predict(paths)]
    assert classifier.predict_decoded(batch) == expected
    assert classifier.predict_decoded(batch, 1) == [ranked[:1] for ranked in expected]
    assert classifier.predict_decoded([]) == []
    with pytest.raises(ImageError, match=r"cannot read image upload 3: not an image in a known format"):
        classifier.decode(b"words", "upload 3")
    tight = load(small["onnx"], max_pixels=100)
    with pytest.raises(ImageError, match="more than the 100 allowed"):
        tight.decode(paths[0], "large")


def test_every_export_resizes_with_pillow(small, image_folder) -> None:
    path = image_folder / "red" / "photo 1.jpg"
    (pixels,) = load(small["onnx"]).decode(path, "x")
    square = Image.fromarray(decode(path, min_side=36)).resize((36, 36), Image.Resampling.BILINEAR)
    assert np.array_equal(pixels, square.resize((32, 32), Image.Resampling.BILINEAR))
    (other,) = load(small["folder"]).decode(path, "x")
    assert np.array_equal(other, Preprocessing(store_size=36).apply(decode(path, min_side=36), 32))


def test_an_ensemble_is_run_by_one_engine_or_each_by_its_own(small) -> None:
    assert load(small["folder"], ensemble=[small["onnx"]]).engines.count("; ") == 1
    with pytest.raises(SettingsError, match="onnxruntime cannot run"):
        load(small["folder"], ensemble=[small["onnx"]], engine="onnxruntime")


def test_an_export_without_data_says_that_its_data_are_unknown(small) -> None:
    with pytest.raises(ArtifactError, match="its data is unknown; give DATA"):
        evaluate(small["onnx"])


# Without torch


def run(script: str, **environment: str) -> str:
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_predicting_imports_nothing_of_training(small, image_folder, engine) -> None:
    arguments = ["predict", str(small["onnx"]), str(image_folder / "red"), "--engine", engine, "--format", "json"]
    script = f"""
import sys
from alexnet.cli import run
assert run({arguments!r}) == 0
print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    title = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[engine]
    first, second = done.stderr.splitlines()
    assert first.startswith(f"engine: {title} ")
    assert second == ""
    predicted = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [result.to_json() for result in load(small["onnx"], engine=engine).predict(image_folder / "red")]
    assert predicted == expected, "the same in a process that has torch"


def test_predicting_works_where_nothing_of_training_is_installed(small, image_folder, tmp_path) -> None:
    """And where the home cannot be written to and no connection be made."""
    script = f"""
import socket, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
def refuse(*given, **options):
    raise SystemExit(f"a connection: {{given}}")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from alexnet.cli import main
main(sys.argv[1:])
"""
    image = str(image_folder / "red" / "photo 1.jpg")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    command = [sys.executable, "-c", script, "predict", str(small["int8"]), image, "--top", "1"]
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    expected = load(small["int8"]).predict(image, top=1)[0].predictions[0]
    assert done.stdout == f"{image}  {expected.label} {expected.probability:.1%}\n"
    assert list(home.iterdir()) == []
    command[4] = str(small["folder"])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "is a model folder, which needs torch" in done.stderr


def test_tensors_are_taken_only_from_a_process_that_has_torch(small) -> None:
    script = f"""
import sys
import numpy as np
from alexnet import load
classifier = load({str(small["onnx"])!r})
array = np.zeros((40, 60, 3), np.uint8)
before = classifier.predict(array)
assert "torch" not in sys.modules
import torch
assert classifier.predict(torch.from_numpy(array).permute(2, 0, 1))[0].predictions == before[0].predictions
print("done")
"""
    assert run(script) == "done\n"
