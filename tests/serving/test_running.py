import http.client
import json
import select
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from alexnet.errors import SettingsError
from alexnet.serving import running as module
from alexnet.serving.running import bind, run
from alexnet.serving.settings import ServerSettings

from ..forked import start
from .fake import FakeClassifier, app_of, image_file, served
from .running import SECONDS, post, received, running

RED = image_file("red")
PROCESS = __file__.replace("test_running", "process")


def request_of(body: bytes = RED, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % length + body


def sent_slowly(connection: socket.socket, content: bytes, seconds: float, n_bytes: int = 1) -> bytes:
    """Send a few bytes at a time until the server has had enough; return what it sent, if that can still be read."""
    try:
        for at in range(0, len(content), n_bytes):
            connection.sendall(content[at : at + n_bytes])
            if select.select([connection], [], [], seconds)[0]:
                break
        return received(connection)
    except OSError:
        try:
            return received(connection)
        except OSError:
            return b""


def until(condition) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_open(client: http.client.HTTPConnection) -> bool:
    """Connect, if somebody listens."""
    try:
        client.connect()
    except ConnectionRefusedError:
        return False
    return True


# Slow and strange clients


@pytest.mark.parametrize("begins_in", ["headers", "body"])
def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(monkeypatch, begins_in) -> None:
    monkeypatch.setattr(module, "ARRIVAL_SECONDS", 0.3)
    with running(app_of()) as server, server.connect() as connection:
        whole = request_of(b"a" * 100)
        if begins_in == "body":
            connection.sendall(whole[:-100])
            whole = whole[-100:]
        found = sent_slowly(connection, whole, 0.05)
        assert found.startswith(b"HTTP/1.1 408 ")
        assert b"too slowly" in found
        connection.close()
        state = server.server.server_state
        until(lambda: not state.connections and not state.tasks)


@pytest.mark.soak
def test_a_byte_a_second_is_cut_off_within_a_quarter_of_a_minute() -> None:
    with running(app_of()) as server, server.connect() as connection:
        began = time.monotonic()
        sent_slowly(connection, request_of(b"a" * 1000), 1.0)
        assert 8 < time.monotonic() - began < 20


def test_a_slow_but_steady_upload_is_read(monkeypatch) -> None:
    monkeypatch.setattr(module, "ARRIVAL_SECONDS", 0.3)
    monkeypatch.setattr(module, "LEAST_BYTES_PER_SECOND", 100)
    with running(app_of()) as server, server.connect() as connection:
        whole = request_of(RED + b"\0" * 200)
        connection.sendall(whole[:-200])
        for _ in range(20):
            time.sleep(0.05)
            connection.sendall(b"\0" * 10)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_connection_may_rest_between_two_requests_but_not_before_the_first(monkeypatch) -> None:
    monkeypatch.setattr(module, "ARRIVAL_SECONDS", 0.3)
    with running(app_of()) as server, server.client() as client:
        assert post(client, RED).status == 200
        with server.connect() as idle:
            assert received(idle) == b"", "it is closed without a word"
        time.sleep(0.5)
        assert post(client, RED).status == 200


def test_a_client_that_reads_nothing_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.3)
    app = app_of()
    big = "x" * 30_000_000
    app.add_api_route("/big", lambda: big)
    with running(app) as server, server.connect() as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: server.server.server_state.connections)
        until(lambda: not server.server.server_state.connections)


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_refused(content) -> None:
    with running(app_of()) as server:
        with server.connect() as connection:
            try:
                connection.sendall(content + b"\r\n\r\n")
                found = received(connection)
            except ConnectionError:  # it may be cut off before all of it is sent
                found = b""
        assert found.startswith(b"HTTP/1.1 400 ") or (not found and len(content) > 100_000)
        assert not found or "HTTP/1.1" in json.loads(found.partition(b"\r\n\r\n")[2])["error"]
        assert server.post(RED).status == 200


def test_a_request_that_is_too_large_gets_its_reason_and_the_connection_stays() -> None:
    with running(app_of(upload_mb=1)) as server, server.client() as client:
        for content in (b"a" * 3_000_000, (b"a" * 100_000 for _ in range(30))):
            found = post(client, content)  # type: ignore[arg-type]
            assert (found.status, "--upload-mb" in found.json["error"]) == (413, True)
        assert post(client, RED).status == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_request_that_is_too_large_gets_its_reason_before_the_connection_is_closed(version) -> None:
    whole = request_of(b"a" * 3_000_000).replace(b"HTTP/1.1\r\n", b"HTTP/" + version + b"\r\nconnection: close\r\n")
    with running(app_of(upload_mb=1)) as server, server.connect() as connection:
        connection.sendall(whole)
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_a_broken_body_of_a_request_for_a_head_is_refused_in_silence(capsys) -> None:
    with running(app_of()) as server, server.connect() as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        found = received(connection)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.endswith(b"\r\n\r\n")
    assert capsys.readouterr().err == ""


def test_a_client_that_leaves_is_no_error(capsys) -> None:
    facts = []
    with running(app_of(log=facts.append)) as server:
        with server.connect() as connection:
            connection.sendall(request_of(length=10_000))
        until(lambda: facts)
    assert facts[0]["status"] == 499
    assert capsys.readouterr().err == ""


# Many clients


def test_a_full_queue_refuses_at_once_and_the_others_get_their_predictions() -> None:
    classifier = FakeClassifier()
    classifier.may_compute.clear()
    with running(app_of(served(classifier), queue=2, max_images=1)) as server, ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(server.post, RED) for _ in range(2)]
        until(lambda: "alexnet_waiting_images 2.0" in server.get("/metrics"))
        refused = server.post(b"a" * 1_000_000)  # while the engine stands still
        assert (refused.status, "--queue" in refused.json["error"]) == (503, True)
        assert int(refused.headers["retry-after"]) >= 1
        classifier.may_compute.set()
        assert [each.result().status for each in waiting] == [200, 200]


def test_many_clients_at_once_get_what_they_asked_for() -> None:
    files = {"red": RED, "blue": image_file("blue", "JPEG"), "bad": b"%PDF-1.7", "cut": RED[:45]}
    kinds = [*files] * 40
    with running(app_of()) as server:

        def one(kind: str) -> tuple[str, int, str]:
            status, found, _ = server.post(files[kind])
            return kind, status, found["results"][0]["predictions"][0]["label"] if status == 200 else "refused"

        with ThreadPoolExecutor(32) as threads:
            found = Counter(threads.map(one, kinds))
    assert found == {
        ("red", 200, "red"): 40,
        ("blue", 200, "blue"): 40,
        ("bad", 422, "refused"): 40,
        ("cut", 422, "refused"): 40,
    }


# The end


def test_a_stop_under_load_loses_no_request() -> None:
    """Each client sends one request after the other on one connection, until the server refuses a new connection."""
    found: Counter[str] = Counter()
    with running(app_of(batch_size=4)) as server:

        def load() -> None:
            while True:
                with server.client() as client:
                    try:
                        client.connect()
                    except (ConnectionRefusedError, ConnectionResetError):
                        return
                    try:
                        is_last = False
                        while not is_last:
                            response = post(client, RED)
                            is_last = response.headers.get("connection") == "close"
                            found[f"{response.status}{' last' if is_last else ''}"] += 1
                    except (http.client.HTTPException, OSError) as error:
                        found[f"lost: {error!r}"] += 1

        clients = [threading.Thread(target=load) for _ in range(8)]
        for each in clients:
            each.start()
        time.sleep(0.5)
        server.stop()
        for each in clients:
            each.join(SECONDS)
    assert set(found) == {"200", "200 last"}
    assert found["200 last"] >= 8


def test_a_stop_waits_for_what_is_being_computed() -> None:
    classifier = FakeClassifier()
    classifier.may_compute.clear()
    with running(app_of(served(classifier))) as server, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(server.post, RED)
        until(lambda: classifier.n_begun)
        server.server.should_exit = True
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert server.thread.is_alive()
        classifier.may_compute.set()
        response = waiting.result()
        assert (response.status, response.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_process_well(tmp_path, number) -> None:
    process = start(PROCESS, cwd=tmp_path)
    until(lambda: process.returncode is not None or (process.out.exists() and "\n" in process.out.read_text()))
    port = int(process.out.read_text().split()[0])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as client:
        until(lambda: is_open(client))
        assert post(client, RED).status == 200
    process.send_signal(getattr(signal, number))
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert json.loads(out.splitlines()[1])["status"] == 200


# The address


def test_an_address_that_is_taken_or_elsewhere_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="--port"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(SettingsError, match="--port"):
        bind("192.0.2.1", 0)
    with pytest.raises(SettingsError, match="--host"):
        bind("not a host", 0)
    with pytest.raises(SettingsError, match="--host"):
        bind("a..b", 0)


def test_of_two_servers_that_start_together_one_says_that_the_address_is_taken() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            first.listen()
            with pytest.raises(SettingsError, match="--port"):
                run(app_of(), ServerSettings(port=port), second)
