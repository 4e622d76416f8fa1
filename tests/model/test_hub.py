"""Models on the hub: the real client, and a hub on this machine."""

import json
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub import ModelCard, constants

from alexnet import AlexNet, Architecture, cli, evaluate, load, load_weights, push
from alexnet.errors import ArtifactError, SettingsError
from alexnet.images.preprocessing import Preprocessing
from alexnet.model.artifact import Artifact, save_artifact
from alexnet.model.card import model_card
from alexnet.model.opening import find_model, load_artifact

from ..inference.local_hub import TOKEN, LocalHub, ask_at, running

PROVENANCE = {
    "alexnet": "0.1.0", "torch": "2.15.0", "data": "/home/anna/secret place/birds of 2026", "n_train": 96, "n_val": 12,
    "recipe": {"name": "modern"}, "seed": 0, "precision": "fp32", "init": "/home/anna/runs/first", "epochs": 6,
    "passes": 40.0, "n_val_seen_before": 0,
    "val_top1": 0.91666, "val_loss": 0.3, "finished": "2026-05-04T12:00:00+00:00",
}  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.chdir(tmp_path)
    with running() as hub:
        ask_at(hub.address, tmp_path / "home", monkeypatch)
        yield hub


@pytest.fixture
def logged_in(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a model of very few weights."""
    net = Architecture(n_classes=3, image_size=67, hidden=(8,))
    net = replace(net, layers=tuple(replace(layer, channels=4) for layer in net.layers))
    artifact = Artifact(
        folder=tmp_path / "run" / "model",
        architecture=net,
        classes=("blue", "green", "red"),
        preprocessing=Preprocessing(store_size=60),
        provenance=PROVENANCE,
    )
    artifact.folder.parent.mkdir()
    save_artifact(artifact, AlexNet(net).state_dict(), model_card(artifact))
    (tmp_path / "run" / "settings.json").write_text("{}")
    return tmp_path / "run"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("logged_in")
def test_a_pushed_model_predicts_the_same(hub: LocalHub, run: Path, image_folder: Path, capsys) -> None:
    before = files_of(run / "model")
    address = push(run, "anna/birds")
    assert address == f"{hub.address}/anna/birds"
    assert len(hub.repos["anna/birds"]) == 1, "one commit"
    assert set(hub.files("anna/birds")) == {"config.json", "model.safetensors", "README.md"}
    assert files_of(run / "model") == before

    image = image_folder / "red" / "photo 1.jpg"
    ours = load(run).predict(image)
    assert load("hf:anna/birds").predict(image) == ours
    assert cli.run(["predict", "hf:anna/birds", str(image), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["predictions"][0]["label"] == ours[0].label
    assert err == ""


@pytest.mark.usefixtures("logged_in")
def test_its_readme_shows_how_to_use_it_from_the_hub(hub: LocalHub, run: Path) -> None:
    push(run, "anna/birds")
    text = hub.files("anna/birds")["README.md"].decode()
    assert 'alexnet.load("hf:anna/birds")' in text
    assert "alexnet predict hf:anna/birds image.jpg" in text
    assert "THIS_FOLDER" not in text
    card = ModelCard(text).data
    assert (card.to_dict()["library_name"], card.pipeline_tag) == ("alexnet", "image-classification")
    (score,) = card.eval_results
    assert (score.metric_type, score.metric_value, score.dataset_split) == ("accuracy", 0.9167, "val")
    assert (score.dataset_name, score.dataset_type) == ("birds of 2026", "imagefolder")


@pytest.mark.usefixtures("logged_in")
def test_local_paths_are_not_published(hub: LocalHub, run: Path) -> None:
    push(run, "anna/birds")
    for name in ("config.json", "README.md"):
        assert b"/home/anna" not in hub.files("anna/birds")[name]
    made = load_artifact("hf:anna/birds").provenance
    assert made == {**PROVENANCE, "data": "birds of 2026", "init": "first"}


@pytest.mark.usefixtures("logged_in")
def test_an_edited_readme_is_pushed_with_metadata(hub: LocalHub, run: Path) -> None:
    (run / "model" / "README.md").write_text("# Birds of our garden\n")
    assert cli.run(["push", str(run / "model"), "anna/birds"]) == 0
    card = ModelCard(hub.files("anna/birds")["README.md"].decode())
    assert card.text.strip() == "# Birds of our garden"
    assert card.data.to_dict()["library_name"] == "alexnet"


@pytest.mark.usefixtures("logged_in")
def test_an_older_revision_is_loaded(hub: LocalHub, run: Path) -> None:
    push(run, "anna/birds")
    (older,) = hub.repos["anna/birds"]
    config = run / "model" / "config.json"
    config.write_text(config.read_text().replace("green", "olive"))
    push(run, "anna/birds", message="Olive it is")
    assert load_artifact("hf:anna/birds").classes[1] == "olive"
    assert load_artifact(f"hf:anna/birds@{older}").classes[1] == "green"
    with pytest.raises(ArtifactError, match="no such revision"):
        load_artifact("hf:anna/birds@v2")


@pytest.mark.usefixtures("logged_in")
def test_private_models_stay_private(hub: LocalHub, run: Path, capsys) -> None:
    assert cli.run(["push", str(run), "anna/mine", "--private"]) == 0
    assert capsys.readouterr().out == f"{hub.address}/anna/mine\n"
    assert hub.private == {"anna/mine"}
    push(run, "anna/mine", private=True)
    hub.commit("anna/known", {"README.md": b""})
    with pytest.raises(ArtifactError, match="it exists and is public"):
        push(run, "anna/known", private=True)
    assert set(hub.files("anna/known")) == {"README.md"}


def test_without_a_token_the_error_says_how_to_log_in(hub: LocalHub, run: Path, monkeypatch) -> None:
    with pytest.raises(
        ArtifactError, match=r"cannot push to 'anna/birds': not logged in to the Hugging Face hub; run hf auth login"
    ):
        push(run, "anna/birds")
    assert not hub.asked
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(ArtifactError, match=r"access denied; .*hf auth login"):
        push(run, "anna/birds")


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("name", ["birds", "anna/", "anna/birds/two", "anna/birds@v1", "an na/birds", ""])
def test_invalid_names_are_refused(hub: LocalHub, run: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="write user/name"):
        push(run, name)
    assert not hub.asked


@pytest.mark.usefixtures("logged_in")
@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
def test_a_damaged_model_is_not_pushed(hub: LocalHub, run: Path, name: str) -> None:
    (run / "model" / name).write_bytes(b"\xff")
    with pytest.raises(ArtifactError, match=name):
        push(run, "anna/birds")
    assert not hub.asked


@pytest.mark.usefixtures("logged_in")
def test_a_downloaded_model_needs_no_network(hub: LocalHub, run: Path, tmp_path, monkeypatch) -> None:
    push(run, "anna/birds")
    folder = find_model("hf:anna/birds")
    ask_at(closed_port(), tmp_path / "home", monkeypatch)
    assert find_model("hf:anna/birds") == folder


@pytest.mark.parametrize(
    "missing", ["anna/birds", "runs/x", "anna/birds@v1", "./anna/birds", "birds", Path("hf:anna/birds")]
)
def test_the_hub_is_asked_for_hf_names_only(hub: LocalHub, run: Path, missing: str | Path, capsys) -> None:
    """From the wrong folder, 'predict runs/x' asked for the model x of a user named runs."""
    hub.commit("anna/birds", {"config.json": b"{}"})
    hub.commit("runs/x", {"config.json": b"{}"})
    network = AlexNet(load_artifact(run).architecture)
    for ask in (load, evaluate, push_somewhere, partial(load_weights, network), load_artifact):
        with pytest.raises(ArtifactError, match=f"there is no model at '{missing}'"):
            ask(missing)
    with pytest.raises(SystemExit):
        cli.main(["predict", f"{missing}".removeprefix("hf:"), "photo.jpg"])
    assert "for a model on the hub write hf:" in capsys.readouterr().err
    assert not hub.asked


def push_somewhere(model: str | Path) -> None:
    push(model, "anna/mine")


def test_the_name_on_the_hub_is_suggested() -> None:
    with pytest.raises(ArtifactError, match=r"for a model on the hub write hf:runs/x$"):
        load_artifact("runs/x")
    with pytest.raises(ArtifactError, match=r"for a model on the hub write hf:user/name$"):
        load_artifact("~nobody-of-this-name/x")


def test_folders_and_the_hub_are_never_confused(hub: LocalHub, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "model", tmp_path / "anna" / "birds")
    assert load_artifact("anna/birds").folder == load_artifact(Path("anna/birds")).folder == Path("anna/birds")
    assert not hub.asked
    with pytest.raises(ArtifactError, match="the hub has no such model"):
        load_artifact("hf:anna/birds")
    assert hub.asked


def test_other_programs_models_are_not_downloaded(hub: LocalHub, capfd) -> None:
    hub.commit("bob/bert", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"much"})
    hub.commit("bob/notes", {"notes.txt": b"x"})
    with pytest.raises(ArtifactError, match="not of an alexnet model"):
        load("hf:bob/bert")
    with pytest.raises(ArtifactError, match=r"holds no alexnet model, since there is no config\.json"):
        load("hf:bob/notes")
    assert not [each for each in hub.asked if "safetensors" in each or "notes.txt" in each]
    assert capfd.readouterr() == ("", "")


def test_errors_of_the_hub(hub: LocalHub) -> None:
    begins = "cannot load 'hf:bob/nets' from the hub: "
    with pytest.raises(ArtifactError, match=f"^{begins}the hub has no such model, or it is private; correct the name"):
        load("hf:bob/nets")
    hub.commit("bob/nets", {})
    hub.gated.add("bob/nets")
    with pytest.raises(ArtifactError, match=f"^{begins}gated model: request access"):
        load("hf:bob/nets")
    with pytest.raises(ArtifactError, match=r"is not a name on the hub; write hf:user/name$"):
        load("hf:nets")
    Path("my nets").mkdir()
    with pytest.raises(ArtifactError, match="or leave out hf: for the folder 'my nets'"):
        load("hf:my nets")
    with pytest.raises(ArtifactError, match="cannot load 'hf:bob--x/nets'"):
        load("hf:bob--x/nets")


def test_without_a_network_it_fails_at_once(run: Path, tmp_path: Path, monkeypatch) -> None:
    ask_at(closed_port(), tmp_path / "home", monkeypatch)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(ArtifactError, match=r"from the hub: no network \(Connection refused\)"):
        load("hf:anna/birds")
    with pytest.raises(ArtifactError, match=r"cannot push to 'anna/birds': no network \(Connection refused\)"):
        push(run, "anna/birds")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ArtifactError, match="HF_HUB_OFFLINE is set"):
        load("hf:anna/birds")
    assert waited == [], "nothing is asked for again after a while"


def test_without_the_extra_the_error_says_how_to_install_it(run: Path, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.setitem(sys.modules, name, None)
    for ask in (lambda: load("hf:anna/birds"), lambda: push(run, "anna/birds")):
        with pytest.raises(ArtifactError, match=r"pip install 'alexnet\[hub\]'"):
            ask()
    assert load(run).classes == ("blue", "green", "red"), "what lies here needs no extra"


def closed_port() -> str:
    """Return the address of a port where no server listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
