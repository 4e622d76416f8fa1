import pytest

from alexnet import Settings, load, train
from alexnet.data.sources.open import open_source
from alexnet.errors import AlexNetError
from alexnet.files.paths import expanded
from alexnet.network.value.changes import load_architecture
from alexnet.training.choices.settings import load_settings
from alexnet.training.session import Session

NOBODY = "~nobody-is-called-so/x"


def test_home_is_expanded(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/photos") == tmp_path / "photos"
    assert expanded("photos/~") == expanded("photos") / "~"


@pytest.mark.parametrize(
    "ask",
    [
        open_source,
        lambda path: open_source("cifar10", path),
        lambda path: open_source(f"hf:{path}"),
        load,
        load_settings,
        load_architecture,
        lambda path: Settings(architecture=path),
        lambda path: Session.resume(path),
        lambda path: train("digits", settings=Settings(init=path, image_size=67)),
        lambda path: train("cifar10", settings=Settings(data_dir=path)),
    ],
)
def test_the_home_of_an_unknown_user_does_not_exist(ask, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alexnet.data.sources.sets.obtaining._fetch", _no_network)
    with pytest.raises(AlexNetError, match=NOBODY):
        ask(NOBODY)


def _no_network(*_: object) -> None:
    raise OSError(101, "no network")


def test_out_expands_home(monkeypatch, tmp_path) -> None:
    """A shell does not expand ``--out=~/run``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("x")
    with pytest.raises(AlexNetError, match="is not an empty folder"):
        train("digits", out="~/run")
