import numpy as np
import pytest

from alexnet.errors import ArtifactError, SettingsError
from alexnet.serving.models import load_models, name_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/images", "images"),
        ("runs/images/", "images"),
        ("runs/images/model", "images"),
        ("/model", "model"),
        ("runs/v1.2", "v1.2"),
        ("runs/images/..", "runs"),
        ("exports/images-int8.onnx", "images-int8"),
        ("exports/images-openvino", "images-openvino"),
        ("hf:anna/birds", "birds"),
        ("hf:anna/birds@main", "birds"),
        ("runs/\udcff", "\\udcff"),
    ],
)
def test_a_model_is_named_like_its_run_or_its_file(path, name) -> None:
    assert name_of(path) == name


def test_models_of_one_name_are_refused(trained_run) -> None:
    with pytest.raises(SettingsError, match="two models are named 'photos'"):
        load_models([trained_run, trained_run / "model"])


@pytest.mark.parametrize("ending", [".pth", ".pkl", ".pt"])
def test_a_pickle_is_refused_and_never_loaded(tmp_path, ending) -> None:
    file = tmp_path / f"weights{ending}"
    file.write_bytes(b"cposix\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "loaded").encode())
    with pytest.raises(ArtifactError):
        load_models([file])
    assert not (tmp_path / "loaded").exists()


def test_a_trained_network_is_described_and_explains_itself(trained_run) -> None:
    (served,) = load_models([trained_run], max_pixels=10_000).values()
    about = served.describe()
    assert (about["name"], about["classes"], about["image_size"]) == ("photos", ["blue", "green", "red"], 67)
    assert about["explains"]
    assert served.classifier.max_pixels == 10_000
    assert served.explain is not None
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = 200
    explanation = served.explain(pixels)
    assert explanation.predictions == served.classifier.predict(pixels)[0].predictions
    assert explanation.maps[0].label == explanation.predictions[0].label
