"""Runs the application with uvicorn: time limits for slow clients, and an end that loses no request."""

import asyncio
import contextlib
import json
import logging
import signal
import socket
from http import HTTPStatus

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from alexnet.errors import SettingsError, one_line
from alexnet.serving.settings import ServerSettings

# A request has so long to arrive, and a second more for each so many bytes: 80 kbit/s, as with a bad mobile connection.
ARRIVAL_SECONDS = 10.0
LEAST_BYTES_PER_SECOND = 10_000
# What a client still sends of a refused request is read for so long. Cut off at once, it might not see the reason.
LINGER_SECONDS = 5.0
# A client that reads nothing of a response for so long is cut off.
WRITE_SECONDS = 30.0
# A connection between two requests is kept for so long.
KEEP_ALIVE_SECONDS = 30
# When the server stops, each connection has so long for one more request, which is told that it is the last.
GOODBYE_SECONDS = 1.0
# So many connections may wait to be accepted.
BACKLOG = 2048
# Each connection is one of the files that a process may have open: by default 1,024 on most systems.
N_FILES = 16_384


class TimedProtocol(H11Protocol):
    """Uvicorn's HTTP, with time limits for what a client sends and reads. Uvicorn has none."""

    _arrival: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _began = 0.0
    _n_bytes = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._arrival is None:
            self._begin()
        self._n_bytes += len(data)
        super().data_received(data)
        state = self.conn.their_state
        if state is not h11.SEND_BODY and not (state is h11.IDLE and self.conn.trailing_data[0]):
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self.resume_writing()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        is_early = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if is_early:
            self._end()
            self._arrival = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        if self._is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1, or its headers are too long")

    def _begin(self) -> None:
        """Begin to wait for a request."""
        self._began, self._n_bytes = self.loop.time(), 0
        self._arrival = self.loop.call_later(ARRIVAL_SECONDS, self._check)

    def _end(self) -> None:
        """Wait no more: the request has arrived."""
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _check(self) -> None:
        """Wait on, or cut off a client that is too slow."""
        left = self._began + ARRIVAL_SECONDS + self._n_bytes / LEAST_BYTES_PER_SECOND - self.loop.time()
        if self.flow.read_paused:  # the server does not read, so the client is not to blame
            self._begin()
        elif left > 0:
            self._arrival = self.loop.call_later(left, self._check)
        elif self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # a connection that was opened in advance, as browsers do
        else:
            sentence = f"the request arrives too slowly; send at least {LEAST_BYTES_PER_SECOND:,} bytes a second"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, sentence)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Send an error, unless a response has begun, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": sentence}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            begin = h11.Response(status_code=status, headers=headers, reason=status.phrase)
            with contextlib.suppress(h11.LocalProtocolError):  # a response to HEAD has no body
                for event in (begin, h11.Data(data=body), h11.EndOfMessage()):
                    self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Closed with bytes that nobody has read, it would be reset, and the client might not see the reason.
        self._end()
        self._is_refused = True
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


class GracefulServer(uvicorn.Server):
    """Uvicorn's server. When it stops, it first responds to every request that has reached it.

    Args:
        app: what it serves.
        settings: how long a request may take.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings) -> None:
        config = uvicorn.Config(
            app,
            http=TimedProtocol,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.timeout,
        )
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.is_stopping = True
        loop = asyncio.get_running_loop()
        for each in sockets or ():
            await self._accept_waiting(each)
        for server in self.servers:
            server.close()
        # From now on, each response tells its client to close the connection. A connection that the server closes
        # between two requests would lose the second, if that is on its way.
        deadline = loop.time() + GOODBYE_SECONDS
        while self.server_state.connections and not self.force_exit and loop.time() < deadline:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    async def _accept_waiting(self, listening: socket.socket) -> None:
        """Accept the connections that the system has accepted: it would reset them when the socket is closed."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        with contextlib.suppress(OSError):  # none is left
            for _ in range(BACKLOG):  # not for as long as new ones come
                connection = listening.accept()[0]
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return TimedProtocol(self.config, self.server_state, self.lifespan.state)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket with an address, which does not listen yet.

    Another server that does not listen yet either may have the same one: ``run`` finds that out.

    Raises:
        SettingsError: the address is taken, or not one of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"cannot listen on {host!r}: {one_line(error)}; give another --host") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _no_port(host, port, error) from error
    return bound


def _no_port(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(f"cannot listen on {host} port {port}: {one_line(error)}; give another --port")


def run(app: FastAPI, settings: ServerSettings, bound: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; then respond to what has arrived, and return.

    Args:
        app: what to serve.
        settings: how long a request may take.
        bound: a socket of ``bind``. It is closed at the end.

    Raises:
        SettingsError: another server listens on its address by now.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise _no_port(settings.host, settings.port, error) from error
    _allow_many_files()
    # It warns of each damaged form, which is its sender's business.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    server = GracefulServer(app, settings)

    def stop(*_: object) -> None:
        server.should_exit = True

    # Until uvicorn handles signals itself. At its end, it raises the signal again that has stopped it: for a server,
    # that is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(sockets=[bound])


def _allow_many_files() -> None:
    """Raise the limit of open files for this process, as far as the system lets it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = N_FILES if hard == resource.RLIM_INFINITY else min(N_FILES, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
