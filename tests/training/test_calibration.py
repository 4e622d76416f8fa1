import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet import Settings, evaluate
from alexnet.evaluation.scores.calibration import fit_temperature
from alexnet.evaluation.scores.metrics import losses
from alexnet.inference.probability import log_softmax
from alexnet.model.artifact import Calibration, read_artifact
from alexnet.training.calibration import calibrate, seconds_needed
from alexnet.training.learning.loop import val_logits
from alexnet.training.session import Session

from ..conftest import make_image_folder

QUICK = Settings(variant="batchnorm", epochs=3, image_size=67, batch_size=16)


@pytest.fixture
def session(image_folder, tmp_path) -> Session:
    session = Session.start(image_folder, tmp_path / "run", QUICK)
    for _ in session.reports():
        pass
    return session


def test_a_trained_network_has_the_temperatures_that_fit_val(session) -> None:
    training = session.training
    found = read_artifact(session.run.model_folder).calibration
    logits, labels = val_logits(training, 67), training.val.labels
    assert found.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)
    assert found.ten_views != found.temperature
    before, after = (losses(log_softmax(logits, each), labels).mean() for each in (1.0, found.temperature))
    assert after <= before
    saved = json.loads((session.run.model_folder / "config.json").read_text())["calibration"]
    assert saved == {"temperature": found.temperature, "ten_views": found.ten_views}


def test_the_temperature_changes_no_prediction(session) -> None:
    result = evaluate(session.run.folder, split="val")
    assert result.outputs.temperature == read_artifact(session.run.model_folder).calibration.temperature
    assert result.scores.top1 == session.model_epoch.val_top1
    assert result.scores.loss != pytest.approx(session.model_epoch.val_loss, abs=1e-6)
    assert np.array_equal(result.outputs.uncalibrated.argmax(axis=1), result.outputs.predicted)


def test_the_weights_that_are_saved_are_calibrated(session) -> None:
    """With --patience, these are not those of the last epoch."""
    training = session.training
    weights = {name: torch.zeros_like(tensor) for name, tensor in training.eval_model.state_dict().items()}
    weights["fc8.linear.bias"] = torch.tensor([100.0, 0.0, 0.0])
    everywhere = np.ones(len(training.val), dtype=np.bool_)
    found = calibrate(training, training.plan.architecture, weights, everywhere)
    assert found.temperature == pytest.approx(20, rel=1e-3), "such a network is as sure as it is wrong"


def test_images_that_the_initial_weights_have_seen_do_not_count(session) -> None:
    training, net = session.training, session.training.plan.architecture
    weights, nowhere = training.eval_model.state_dict(), np.zeros(len(training.val), dtype=np.bool_)
    assert calibrate(training, net, weights, nowhere) == Calibration()
    most = np.arange(len(training.val)) < 10
    found = calibrate(training, net, weights, most)
    logits, labels = val_logits(training, 67)[most], training.val.labels[most]
    assert found.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)


def test_a_run_from_a_network_that_knows_val_is_not_calibrated_on_it(session, tmp_path) -> None:
    data = make_image_folder(tmp_path / "data" / "train", n_each=6, first=1000)
    make_image_folder(tmp_path / "data" / "val", n_each=4)
    settings = replace(QUICK, epochs=1, init=str(session.run.folder))
    again = Session.start(data.parent, tmp_path / "again", settings)
    for _ in again.reports():
        pass
    artifact = read_artifact(again.run.model_folder)
    seen = artifact.provenance["n_val_seen_before"]
    assert 2 < seen <= 12
    assert artifact.calibration == Calibration(), "the others are fewer than 10"


def test_calibrating_fits_into_the_time_limit(session) -> None:
    plan = session.training.plan
    plan.timing.seconds[67] = 0.01
    assert seconds_needed(plan, 12) == pytest.approx(0.4 * (12 + 10 * 12) * 0.01)
    assert seconds_needed(plan, 50_000) == pytest.approx(0.4 * (2000 + 10 * 128) * 0.01)
    plan.timing.seconds.clear()
    assert seconds_needed(plan, 12) == 0
