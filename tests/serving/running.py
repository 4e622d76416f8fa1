"""A server on a free port, in a thread of this process."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from threading import Thread
from typing import Any, NamedTuple

from fastapi import FastAPI

from alexnet.serving.running import GracefulServer, bind
from alexnet.serving.settings import ServerSettings

SECONDS = 30


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    server: GracefulServer
    port: int
    thread: Thread

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """Return a connection of bytes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def client(self) -> "closing[HTTPConnection]":
        """Return a connection that speaks HTTP and is kept open, as a context manager."""
        return closing(HTTPConnection("127.0.0.1", self.port, timeout=SECONDS))

    def post(self, content: bytes, path: str = "/predict") -> "Posted":
        """Send one request on a connection of its own."""
        with self.client() as client:
            return post(client, content, path)

    def get(self, path: str) -> str:
        """Return the body of a response."""
        with self.client() as client:
            client.request("GET", path)
            return client.getresponse().read().decode()

    def stop(self) -> None:
        """Stop as SIGTERM does, and wait for the end."""
        self.server.should_exit = True
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@contextmanager
def running(app: FastAPI, **settings: Any) -> Iterator[Running]:
    bound = bind("127.0.0.1", 0)
    server = GracefulServer(app, ServerSettings(**settings))
    thread = Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    found = Running(server, bound.getsockname()[1], thread)
    deadline = time.monotonic() + SECONDS
    while not server.started:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield found
    finally:
        found.stop()


class Posted(NamedTuple):
    """The response to a request."""

    status: int
    json: Any
    headers: dict[str, str]


def post(client: HTTPConnection, content: bytes, path: str = "/predict") -> Posted:
    """Send a request on an open connection."""
    client.request("POST", path, content)
    found = client.getresponse()
    return Posted(found.status, json.loads(found.read()), {name.lower(): value for name, value in found.getheaders()})


def received(connection: socket.socket) -> bytes:
    """Return what a connection receives until the server closes it."""
    chunks = []
    while chunk := connection.recv(1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)
