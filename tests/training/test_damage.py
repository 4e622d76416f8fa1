import pytest

from alexnet import Settings
from alexnet.data.sources.open import open_source
from alexnet.data.store.mending import mend
from alexnet.errors import DataError
from alexnet.training.session import Session

from ..conftest import make_image_folder


def test_a_run_that_met_damage_goes_on_after_mending(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    image_folder = make_image_folder(tmp_path / "photos", n_each=4)
    settings = Settings(variant="batchnorm", epochs=2, image_size=67, batch_size=6, device="cpu")
    session = Session.start(image_folder, tmp_path / "run", settings)
    reports = session.reports()
    next(reports)
    session.save()
    reports.close()
    damaged = session.store.rows[session.source.in_split("train")[0].path]
    with (session.store.folder / "pixels").open("r+b") as file:
        file.seek(damaged * 69 * 69 * 3)
        file.write(bytes(69 * 69 * 3))

    with pytest.raises(DataError, match="is damaged"):
        list(Session.resume(tmp_path / "run").reports())
    assert mend(open_source(image_folder)).n_whole == 1
    session = Session.resume(tmp_path / "run")
    assert session.training.position.progress == 0.5, "it goes on, and does not begin again"
    list(session.reports())
    assert session.run.is_finished
