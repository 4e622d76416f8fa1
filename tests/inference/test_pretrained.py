"""Weights from files, models, torchvision and the hub. Downloads come from a server on this machine."""

import copy
import hashlib
import os
import pickle
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import AlexNet_Weights

from alexnet import AlexNet, Architecture
from alexnet.errors import ArtifactError, SettingsError
from alexnet.inference import pretrained
from alexnet.inference.artifact import load_artifact
from alexnet.inference.pretrained import absolute, load_weights
from alexnet.network.architecture import Conv
from alexnet.network.variants import VARIANTS
from alexnet.network.weights import TORCHVISION_MODULES

NET = Architecture(hidden=(16, 8), n_classes=3, image_size=67)
NARROW = replace(VARIANTS["torchvision"], hidden=(16, 8))
CLASSES = ("blue", "green", "red")


def network(seed: int = 0, net: Architecture = NET, **changes) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(replace(net, **changes))


def layers_of(names: tuple[str, ...]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_a_network_begins_where_another_has_ended(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    loaded = load_weights(model, trained_run, classes=CLASSES)
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert set(loaded.kept) == set(saved) == set(model.state_dict())
    assert loaded.new == loaded.left == ()
    assert str(loaded).endswith("fc8; new: nothing")
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_with_other_classes_all_but_the_last_layer_is_taken_over(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture, n_classes=5)
    before = copy.deepcopy(model.fc8.state_dict())
    loaded = load_weights(model, trained_run / "model" / "model.safetensors")
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert loaded.new == ("fc8.linear.weight", "fc8.linear.bias")
    assert layers_of(loaded.kept) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}
    assert all(torch.equal(model.state_dict()[name], saved[name]) for name in loaded.kept)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.fc8.state_dict().items())


def test_a_model_of_another_network_says_where_that_is_described(trained_run) -> None:
    config = trained_run / "model" / "config.json"
    with pytest.raises(ArtifactError, match=re.escape(f"add --architecture {config}")):
        load_weights(AlexNet(NARROW), trained_run)


@pytest.mark.parametrize(
    ("classes", "is_taken"), [(("a", "b", "c"), False), (["blue", "green", "red"], True), (None, True)]
)
def test_labels_go_by_name(trained_run, classes, is_taken) -> None:
    """As many classes, but others, are no reason to take the last layer over."""
    model = AlexNet(load_artifact(trained_run).architecture)
    loaded = load_weights(model, trained_run, classes=classes)
    assert ("fc8" in layers_of(loaded.taken)) == is_taken


def test_colour_becomes_grey_in_the_same_call(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture, in_channels=1, n_classes=2, image_size=128)
    loaded = load_weights(model, str(trained_run), classes=("a", "b"))
    assert "adapted: conv1 (3 to 1 channels, summed); new: fc8" in str(loaded)


def test_what_a_model_of_ours_was_trained_on_is_known(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    with pytest.raises(SettingsError, match=r"pixels are 'caffe', but the model .* was trained on rgb; leave them out"):
        load_weights(model, trained_run, pixels="caffe")


def test_pixels_and_what_to_take_reach_the_weights(tmp_path) -> None:
    theirs, model = network(1), network(2, VARIANTS["paper"], hidden=(16, 8), n_classes=3)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError, match=r"theirs\.pth' is of the reference layout.*the grouped layout"):
        load_weights(model, tmp_path / "theirs.pth", pixels="bgr")
    loaded = load_weights(model, tmp_path / "theirs.pth", pixels="bgr", partial=True)
    assert ("conv1.conv.weight", "BGR turned to RGB") in loaded.adapted
    assert torch.equal(model.conv1.conv.weight, theirs.conv1.conv.weight.flip(1))


@pytest.mark.parametrize("wrapped", [None, "state_dict", "model"])
@pytest.mark.parametrize("old", [False, True])
def test_a_pth_file_of_tensors_is_taken_over(tmp_path, wrapped, old) -> None:
    theirs = network(1).state_dict()
    found = theirs if wrapped is None else {wrapped: theirs, "epoch": 3}
    torch.save(found, tmp_path / "theirs.pth", _use_new_zipfile_serialization=not old)
    model = network(2)
    loaded = load_weights(model, str(tmp_path / "theirs.pth"))
    assert set(loaded.kept) == set(theirs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


def test_weights_of_half_the_bytes_are_taken_over(tmp_path) -> None:
    theirs = {name: tensor.half() for name, tensor in network(1).state_dict().items()}
    save_file(theirs, tmp_path / "half.safetensors")
    model = network(2)
    load_weights(model, tmp_path / "half.safetensors")
    assert model.conv1.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv1.conv.weight, theirs["conv1.conv.weight"].float())


class Harmful:
    """What a pickle can do: run anything."""

    def __init__(self, mark: os.PathLike[str]) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def save_harmful(path, mark) -> None:
    torch.save({"state_dict": network().state_dict(), "x": Harmful(mark)}, path)


def save_harmful_plainly(path, mark) -> None:
    path.write_bytes(pickle.dumps(Harmful(mark), protocol=2))


def save_whole_model(path, mark) -> None:
    torch.save(network(), path)


def save_garbage(path, mark) -> None:
    path.write_bytes(b"<html>404: not found</html>" * 10)


@pytest.mark.parametrize("save", [save_harmful, save_harmful_plainly, save_whole_model, save_garbage])
def test_a_pickle_with_code_is_refused_and_never_executed(tmp_path, save) -> None:
    save(tmp_path / "theirs.pth", tmp_path / "executed")
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArtifactError, match=r"theirs\.pth.*more than tensors, or is damaged") as caught:
        load_weights(model, tmp_path / "theirs.pth")
    assert not (tmp_path / "executed").exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value), "nobody is told to execute it after all"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_it_would_have_been_executed(tmp_path) -> None:
    """The file above does harm to whoever unpickles it, or the test above would show nothing."""
    save_harmful_plainly(tmp_path / "theirs.pth", tmp_path / "executed")
    pickle.loads((tmp_path / "theirs.pth").read_bytes())
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "empty.pth", "empty.safetensors"])
def test_damaged_files_are_named_with_the_reason(tmp_path, name) -> None:
    save = save_file if name.endswith("safetensors") else torch.save
    save(network().state_dict(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2] if name.startswith("cut") else b"")
    with pytest.raises(ArtifactError, match=f"cannot read the weights in .*{name}': .") as caught:
        load_weights(network(), tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(3)])
def test_what_is_no_tensors_by_name_is_refused(tmp_path, content) -> None:
    torch.save(content, tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError, match=r"holds no tensors by name; save model\.state_dict\(\)"):
        load_weights(network(), tmp_path / "theirs.pth")


def test_the_same_names_with_other_shapes_do_not_fit(tmp_path) -> None:
    short = (Conv(channels=8, kernel=5, stride=4), Conv(channels=8, kernel=3))
    save_file(AlexNet(Architecture(layers=short, hidden=(), n_classes=2)).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(
        ArtifactError, match=r"a layout of its own \(conv1 8x3x5x5.*reference layout \(conv1 96x3x11x11"
    ):
        load_weights(network(), tmp_path / "x.safetensors")


def test_missing_weights_are_said_to_be_missing(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"there are no weights at .*nowhere\.pth"):
        load_weights(network(), tmp_path / "nowhere.pth")
    with pytest.raises(ArtifactError, match=r"there is no model at .*nowhere"):
        load_weights(network(), tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="holds no model"):
        load_weights(network(), tmp_path)


def test_a_model_of_the_hub_is_taken_by_its_name(trained_run, monkeypatch) -> None:
    there = {"someone/photos": trained_run / "model"}
    monkeypatch.setattr("alexnet.inference.hub.find_model", lambda model: there.get(model, Path(model)))
    model = AlexNet(load_artifact(trained_run).architecture)
    assert not load_weights(model, "someone/photos", classes=CLASSES).new


def test_paths_are_made_absolute_and_names_are_not(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("run", "torchvision"):
        (tmp_path / folder).mkdir()
    assert absolute("run") == absolute("~/run") == str(tmp_path / "run")
    assert absolute("someone/photos") == "someone/photos"
    assert absolute("torchvision") == "torchvision"
    assert absolute("./torchvision") == str(tmp_path / "torchvision")


def test_a_file_is_what_its_name_says(tmp_path) -> None:
    torch.save(network(1).state_dict(), tmp_path / "theirs.pth")
    digest = hashlib.sha256((tmp_path / "theirs.pth").read_bytes()).hexdigest()
    right, longer, wrong, other = (
        tmp_path / f"alexnet-{ending}.pth" for ending in (digest[:8], digest, "0123abcd", "v2-abc")
    )
    for path in (right, longer, wrong, other):
        path.write_bytes((tmp_path / "theirs.pth").read_bytes())
    for path in (right, longer, other):
        assert not load_weights(network(2), path).new
    with pytest.raises(ArtifactError, match=f"0123abcd.pth' is damaged: its SHA-256 begins with {digest[:8]}, and not"):
        load_weights(network(2), wrong)


class Published:
    """Weights as torchvision publishes them, on a server of this machine.

    Attributes:
        content: what the file has.
        n_promised: how many bytes the server says it has.
        n_asked: how often it was asked.
    """

    def __init__(self, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        published = self
        self.content, self.n_promised, self.n_asked = content, len(content), 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.n_asked += 1
                if "missing" in self.path:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(published.n_promised))
                self.end_headers()
                self.wfile.write(published.content)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.monkeypatch = monkeypatch
        self.publish(f"alexnet-owt-{hashlib.sha256(content).hexdigest()[:8]}.pth")

    def publish(self, name: str) -> None:
        url = f"http://127.0.0.1:{self.server.server_port}/models/{name}"
        self.monkeypatch.setattr(AlexNet_Weights.IMAGENET1K_V1.value, "url", url)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def published_tensors() -> dict[str, Tensor]:
    own = network(1, NARROW).state_dict()
    modules = dict.fromkeys(name.rpartition(".")[0] for name in own)
    names = dict(zip(modules, TORCHVISION_MODULES, strict=True))
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": each for name, each in own.items()}


@pytest.fixture
def published(tmp_path, monkeypatch) -> Iterator[Published]:
    torch.save(published_tensors(), tmp_path / "theirs.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Published((tmp_path / "theirs.pth").read_bytes(), monkeypatch)
    yield server
    server.close()


def kept_files(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "torch").rglob("*") if path.is_file()]


def test_torchvisions_weights_are_downloaded_once(published, tmp_path, capsys) -> None:
    model = network(2, NARROW)
    loaded = load_weights(model, "torchvision", classes=AlexNet_Weights.IMAGENET1K_V1.meta["categories"])
    assert str(loaded) == "kept: conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8; new: nothing"
    assert torch.equal(model.fc7.linear.weight, published_tensors()["classifier.4.weight"])
    assert len(kept_files(tmp_path)) == 1
    load_weights(network(3, NARROW), "torchvision")
    assert published.n_asked == 1
    assert capsys.readouterr().out == ""


def test_a_thousand_classes_of_ones_own_are_none_of_imagenets(published) -> None:
    loaded = load_weights(network(2, NARROW), "torchvision", classes=[f"class {number}" for number in range(1000)])
    assert "new: fc8; left: classifier.6" in str(loaded)


def test_what_does_not_have_the_published_hash_never_appears(published, tmp_path) -> None:
    published.publish("alexnet-owt-7be5be79.pth")
    with pytest.raises(
        ArtifactError, match=r"cannot download torchvision's weights from http.*7be5be79.*got"
    ) as caught:
        load_weights(network(2, NARROW), "torchvision")
    assert "\n" not in str(caught.value)
    assert not kept_files(tmp_path)


def test_what_came_half_never_appears(published, tmp_path) -> None:
    published.content = published.content[:1000]
    with pytest.raises(ArtifactError, match="cannot download torchvision's weights"):
        load_weights(network(2, NARROW), "torchvision")
    assert not kept_files(tmp_path)


def test_what_was_downloaded_and_then_damaged_is_named(published, tmp_path) -> None:
    load_weights(network(2, NARROW), "torchvision")
    (file,) = (path for path in (tmp_path / "torch").rglob("*.pth"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ArtifactError, match=f"{file.name}' is damaged"):
        load_weights(network(2, NARROW), "torchvision")


def test_where_there_is_no_network_the_reason_is_given(published, tmp_path) -> None:
    published.publish("missing-7be5be79.pth")
    with pytest.raises(ArtifactError, match=r"from http://127.*7be5be79\.pth: Not Found; try again, or give the file"):
        load_weights(network(2, NARROW), "torchvision")
    url = "http://127.0.0.1:1/alexnet-owt-7be5be79.pth"
    published.monkeypatch.setattr(AlexNet_Weights.IMAGENET1K_V1.value, "url", url)
    with pytest.raises(ArtifactError, match="refused; try again, or give the file") as caught:
        load_weights(network(2, NARROW), "torchvision")
    assert "\n" not in str(caught.value)
    assert not kept_files(tmp_path)


def test_torchvision_publishes_its_weights_with_their_hash() -> None:
    """What the tests above put in its place; a file of this name is checked wherever it lies."""
    assert pretrained._HASHED.search(AlexNet_Weights.IMAGENET1K_V1.url)[1] == "7be5be79"
