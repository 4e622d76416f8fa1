import numpy as np
import pytest

from alexnet.errors import SettingsError
from alexnet.evaluation.comparison import compare_outputs
from alexnet.evaluation.mistakes import check_new, write_errors
from alexnet.evaluation.outputs import Outputs, mean_of
from alexnet.inference.probability import log_softmax


def outputs(logits, labels=(0, 1, 2), temperature=1.0) -> Outputs:
    logits = np.asarray(logits, dtype=np.float64)
    names = tuple(f"{i}.jpg" for i in range(len(logits)))
    return Outputs(("a", "b", "c"), names, np.array(labels), log_softmax(logits / temperature), temperature)


def test_the_mean_is_of_probabilities() -> None:
    first, second = outputs([[3, 0, 0], [0, 1, 0], [0, 0, 5]]), outputs([[0, 0, 1], [0, 2, 0], [1, 0, 0]])
    mean = mean_of([first, second])
    assert mean.probabilities == pytest.approx((first.probabilities + second.probabilities) / 2)
    assert mean.temperature is None
    assert mean.uncalibrated is None
    assert mean_of([first]) is first


def test_the_temperature_can_be_undone() -> None:
    logits = np.array([[3.0, 0, 0], [0, 1, 0], [0, 0, 5]])
    assert outputs(logits, temperature=2.5).uncalibrated == pytest.approx(log_softmax(logits))


def test_two_networks_are_compared_on_each_image() -> None:
    first, second = outputs([[3, 0, 0], [0, 3, 0], [3, 0, 0]]), outputs([[3, 0, 0], [0, 0, 3], [0, 3, 0]])
    found = compare_outputs(first, second)
    assert (found.n_only_first, found.n_only_second, found.n_images) == (1, 0, 3)
    assert found.top1 == pytest.approx(1 / 3)
    assert found.top1_interval.low < found.top1 < found.top1_interval.high
    assert found.loss < 0
    assert found.p_value == 1
    assert [(each.path, each.label, each.first, each.second) for each in found.differences] == [
        ("1.jpg", "b", "b", "c"),
        ("2.jpg", "c", "a", "b"),
    ]
    assert found.to_json()["differences"][0] == {"path": "1.jpg", "label": "b", "first": "b", "second": "c"}


def test_the_least_probable_labels_come_first(tmp_path) -> None:
    write_errors(outputs([[3, 0, 0], [3, 0, 0], [0, 0, 0.5]]), tmp_path / "errors.csv")
    lines = (tmp_path / "errors.csv").read_text().splitlines()
    assert lines[0] == "path,label,predicted,probability_of_label,probability_of_predicted"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["1.jpg", "b", "a"],
        ["2.jpg", "c", "c"],
        ["0.jpg", "a", "a"],
    ]
    with pytest.raises(SettingsError, match=r"exists, and is not overwritten"):
        check_new(tmp_path / "errors.csv")
    with pytest.raises(SettingsError, match="no folder"):
        check_new(tmp_path / "nowhere" / "errors.csv")


def test_odd_names_are_written_as_they_are(tmp_path) -> None:
    name = b'caf\xe9 "1", 2.jpg'.decode("utf-8", "surrogateescape")
    one = Outputs(("a", "b"), (name,), np.array([0]), np.log([[0.25, 0.75]]))
    write_errors(one, tmp_path / "errors.csv")
    assert b'"caf\xe9 ""1"", 2.jpg",a,b,0.250000,0.750000' in (tmp_path / "errors.csv").read_bytes()
