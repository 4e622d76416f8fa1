"""What a run wrote down means the same wherever it goes on, whatever lies there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexnet import AlexNet, Settings, cli, evaluate
from alexnet.data.sources.open import open_source
from alexnet.errors import DataError, SettingsError
from alexnet.training.choices.settings import load_settings
from alexnet.training.session import Session

from ..conftest import make_image_folder

QUICK = Settings(variant="batchnorm", epochs=1, image_size=67, batch_size=16, hidden=(8,))


@pytest.fixture
def opened(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the sets that were opened, all of them small; a folder digits lies in the current one."""
    sets: list[str] = []

    def small(name: str, data_dir: Path | None) -> object:
        sets.append(name)
        return replace(open_source(image_folder), name=name)

    monkeypatch.setattr("alexnet.data.sources.sets.named.open_named", small)
    monkeypatch.chdir(tmp_path)
    make_image_folder(tmp_path / "digits", n_each=1, first=1000)
    return sets


def test_digits_are_the_set_from_the_start_to_the_score(opened, tmp_path) -> None:
    session = Session.open(out="run", settings=QUICK)
    assert session.run.settings()["data"] == "digits"
    session.save()
    list(Session.resume("run").reports())
    own = evaluate("run")
    assert own.data == "digits"
    assert evaluate("run", "set:digits") == own
    assert opened == ["digits"] * 4
    with pytest.raises(DataError, match=r"'digits' is a set, and a folder here"):
        evaluate("run", "digits")
    assert evaluate("run", Path("digits")).data == str(tmp_path / "digits")
    assert opened == ["digits"] * 4


def test_its_settings_name_the_set_for_another_run(opened, tmp_path) -> None:
    Session.open(out="run", settings=QUICK)
    data, _ = load_settings("run/settings.json")
    assert open_source(data).name == "digits"
    (tmp_path / "mine.json").write_text(json.dumps({"data": "digits", "epochs": 1}))
    data, _ = load_settings("mine.json")
    with pytest.raises(DataError, match="is a set, and a folder here"):
        open_source(data)  # who wrote that may mean either


def test_the_settings_of_nobodys_home_are_not_there() -> None:
    with pytest.raises(SettingsError, match="cannot read the settings in '~nobody-of-this-name/x'"):
        load_settings("~nobody-of-this-name/x")


def test_find_lr_without_data_is_for_the_set(opened, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(
        "alexnet.training.assembly.prepare_training", lambda data, *_, **__: asked.append(data) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        cli.run(["train", "--find-lr"])
    assert asked == ["set:digits"]


def test_the_weights_it_began_with_are_written_down_with_their_key(image_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    nets = [AlexNet(hidden=(8,), n_classes=3, image_size=67) for _ in range(2)]
    torch.save({"model": nets[0].state_dict(), "ema": nets[1].state_dict()}, "theirs.pth")
    session = Session.open(image_folder, out="run", settings=replace(QUICK, init="theirs.pth", init_key="ema"))
    begun = session.training.model.state_dict()["conv2.conv.weight"]
    assert torch.equal(begun, nets[1].state_dict()["conv2.conv.weight"])
    saved = session.run.settings()
    assert (saved["init"], saved["init_key"]) == (str(tmp_path / "theirs.pth"), "ema")
    with pytest.raises(SettingsError, match="init_key is 'ema', but there are no weights to load; give --init too"):
        Settings(init_key="ema")
