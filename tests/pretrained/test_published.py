"""torchvision's weights, from a local server."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import AlexNet_Weights

from alexnet.errors import ArtifactError
from alexnet.network.weights.loading import TORCHVISION_MODULES
from alexnet.pretrained.loading import absolute, load_weights

from .test_loading import NARROW, network


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


def test_the_last_layer_is_new_for_a_thousand_other_classes(published) -> None:
    loaded = load_weights(network(2, NARROW), "torchvision", classes=[f"class {number}" for number in range(1000)])
    assert "new: fc8; left: classifier.6" in str(loaded)


def test_a_download_with_another_hash_never_appears(published, tmp_path) -> None:
    published.publish("alexnet-owt-7be5be79.pth")
    with pytest.raises(
        ArtifactError, match=r"cannot download torchvision's weights from http.*7be5be79.*got"
    ) as caught:
        load_weights(network(2, NARROW), "torchvision")
    assert "\n" not in str(caught.value)
    assert not kept_files(tmp_path)


def test_an_incomplete_download_never_appears(published, tmp_path) -> None:
    published.content = published.content[:1000]
    with pytest.raises(ArtifactError, match="cannot download torchvision's weights"):
        load_weights(network(2, NARROW), "torchvision")
    assert not kept_files(tmp_path)


def test_a_damaged_download_is_named(published, tmp_path) -> None:
    load_weights(network(2, NARROW), "torchvision")
    (file,) = (path for path in (tmp_path / "torch").rglob("*.pth"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ArtifactError, match=f"{file.name}' is damaged"):
        load_weights(network(2, NARROW), "torchvision")


def test_without_a_network_the_error_says_so(published, tmp_path) -> None:
    published.publish("missing-7be5be79.pth")
    with pytest.raises(ArtifactError, match=r"from http://127.*7be5be79\.pth: Not Found; try again, or give the file"):
        load_weights(network(2, NARROW), "torchvision")
    url = "http://127.0.0.1:1/alexnet-owt-7be5be79.pth"
    published.monkeypatch.setattr(AlexNet_Weights.IMAGENET1K_V1.value, "url", url)
    with pytest.raises(ArtifactError, match="refused; try again, or give the file") as caught:
        load_weights(network(2, NARROW), "torchvision")
    assert "\n" not in str(caught.value)
    assert not kept_files(tmp_path)


def test_a_silent_server_times_out_without_a_global_limit(published, tmp_path, monkeypatch) -> None:
    """From Python, a download waited forever."""
    monkeypatch.setattr("alexnet.files.download.SERVER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/alexnet-owt-7be5be79.pth"
        monkeypatch.setattr(AlexNet_Weights.IMAGENET1K_V1.value, "url", url)
        with pytest.raises(ArtifactError, match="timed out; try again, or give the file"):
            load_weights(network(2, NARROW), "torchvision")
    assert socket.getdefaulttimeout() is None
    assert not kept_files(tmp_path)


def test_torchvision_publishes_its_weights_with_their_hash() -> None:
    """The real name, which the tests above replace. A file of this name is checked in any folder."""
    assert AlexNet_Weights.IMAGENET1K_V1.url.endswith("/alexnet-owt-7be5be79.pth")


def test_a_download_is_announced(published, tmp_path, caplog) -> None:
    for _ in range(2):
        load_weights(network(2, NARROW), "torchvision")
    (said,) = caplog.messages
    assert said.startswith(f"downloading torchvision's weights to {tmp_path / 'torch'}")


def test_a_file_named_torchvision_is_not_ignored(published, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(network(4, NARROW).state_dict(), "torchvision")
    for ask in (lambda: load_weights(network(2, NARROW), "torchvision"), lambda: absolute("torchvision")):
        with pytest.raises(
            ArtifactError, match=r"write \./torchvision for .*, torchvision:IMAGENET1K_V1 for"
        ) as caught:
            ask()
        assert len(str(caught.value)) < 300
    assert not published.n_asked
    for weights in ("./torchvision", Path("torchvision")):
        model = network(2, NARROW)
        load_weights(model, weights)
        assert torch.equal(model.fc7.linear.weight, network(4, NARROW).fc7.linear.weight)
    assert absolute("./torchvision") == str(tmp_path / "torchvision")
    model = network(2, NARROW)
    load_weights(model, "torchvision:IMAGENET1K_V1")
    assert torch.equal(model.fc7.linear.weight, published_tensors()["classifier.4.weight"])


def test_the_recorded_name_means_the_same_in_any_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = absolute("torchvision")
    (tmp_path / "torchvision").mkdir()
    assert absolute(written) == written == "torchvision:IMAGENET1K_V1"


def test_a_missing_path_named_torchvision_is_not_downloaded(published) -> None:
    with pytest.raises(ArtifactError, match="there is no model at 'torchvision'"):
        load_weights(network(2, NARROW), Path("torchvision"))
    with pytest.raises(ArtifactError, match=r"no AlexNet named 'torchvision:V2'.*torchvision:IMAGENET1K_V1"):
        load_weights(network(2, NARROW), "torchvision:V2")
    assert not published.n_asked


def test_only_torchvisions_own_file_is_checked(published, tmp_path) -> None:
    (name,) = [Path(AlexNet_Weights.IMAGENET1K_V1.url).name]
    (tmp_path / name).write_bytes(published.content)
    assert not load_weights(network(2, NARROW), tmp_path / name).new
    others = network(3, NARROW)
    torch.save(others.state_dict(), tmp_path / name)
    with pytest.raises(ArtifactError, match=f"{name}' is damaged: its SHA-256 begins with .* rename it if"):
        load_weights(network(2, NARROW), tmp_path / name)


@pytest.mark.parametrize(
    "name", ["alexnet-20240131.pth", "alexnet-owt-20240131.pth", "alexnet-0123abcd.pth", "x-12.pth"]
)
def test_a_date_in_a_name_is_not_a_hash(published, tmp_path, name) -> None:
    torch.save(network(3, NARROW).state_dict(), tmp_path / name)
    assert not load_weights(network(2, NARROW), tmp_path / name).new
