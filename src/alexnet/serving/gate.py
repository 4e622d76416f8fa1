"""What every request passes: the API key, the metrics, and a line in the log. No image content is logged."""

import asyncio
import contextlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alexnet.serving.metrics import Metrics
from alexnet.serving.settings import is_loopback

# Whether the server runs may be asked without a key. So may the page, which holds nothing of the model: it asks for the
# key, and sends it.
PROBES = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
# Paths that have numbers of their own in the metrics. All others, which clients choose, share one.
COUNTED_PATHS = PROBES | {"/", "/predict", "/explain", "/model", "/metrics", "/openapi.json", "/v2"}
# Browsers take a response for what its content type says, and keep none.
SAFE_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
# A refused request is read on for so long where the connection is closed afterwards. Closed with bytes that nobody has
# read, it would be reset, and the client might not see the reason.
LINGER_SECONDS = 5.0
# The status of a request whose client has left, as in nginx. Nobody sees it but the log.
CLIENT_LEFT = 499
# A longer path is cut.
MOST_CHARACTERS = 200


@dataclass
class Facts:
    """What the log says of a request besides its path and status."""

    method: str
    model: str | None = None
    n_images: int = 0


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response. Unlike Starlette's, it may hold text that UTF-8 cannot encode, such as file names."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


class Gate:
    """ASGI middleware around everything else: it logs and counts each request, and adds headers to each response.

    Args:
        app: the application.
        metrics: counts each request.
        log: is given the facts of each request.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: Callable[[dict[str, Any]], None]) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, facts, has_arrived = time.perf_counter(), CLIENT_LEFT, Facts(scope["method"]), False
        shared = scope["app"].state
        # The server itself leaves out the body of a response to HEAD.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        scope = {**scope, "method": method, "state": {**scope.get("state", {}), "facts": facts}}

        async def receive_noting() -> Message:
            nonlocal has_arrived
            message = await receive()
            has_arrived = not message.get("more_body", False)
            return message

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Uvicorn closes the connection after an error that it has logged.
                closing = [(b"connection", b"close")] if shared.is_stopping or status == 500 else []
                if (closing or _is_last(scope)) and not _waits(scope):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LINGER_SECONDS):
                            while not has_arrived:
                                await receive_noting()
                message = {**message, "headers": [*message.get("headers", ()), *SAFE_HEADERS, *closing]}
            await send(message)

        try:
            await self._app(scope, receive_noting, send_safely)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - began
            path = scope["path"]
            self._metrics.count_request(path if path in COUNTED_PATHS else "other", status, seconds)
            self._log(
                {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "client": scope["client"][0] if scope.get("client") else None,
                    "method": facts.method,
                    "path": path[:MOST_CHARACTERS],
                    "status": status,
                    "milliseconds": round(1000 * seconds, 1),
                    "model": facts.model,
                    "images": facts.n_images,
                }
            )


class Guard:
    """ASGI middleware within CORS, so that a page of an allowed site can read its errors: the API key, and failures.

    Args:
        app: the application.
        key: what requests must give; None: nothing.
        is_local: whether only this machine can reach the server.
    """

    def __init__(self, app: ASGIApp, *, key: str | None, is_local: bool) -> None:
        self._app = app
        self._key = None if key is None else key.encode()
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        app = self._app
        if scope["type"] == "http":
            app = self._app if self._may_pass(scope) else _no_key()
            # A site may let its own name lead to this machine (DNS rebinding). Then its page could read responses.
            if self._is_local and self._key is None and not _is_for_this_machine(scope):
                app = _not_for_this_machine()
        try:
            await app(scope, receive, send_noting)
        except Exception:
            # Its traceback goes to the log. It may name paths of this machine, so it is not sent.
            if scope["type"] == "http" and not has_begun:
                failure = json_response({"error": "the server has failed at this request; its log says why"}, 500)
                await failure(scope, receive, send)
            raise

    def _may_pass(self, scope: Scope) -> bool:
        """Return whether a request gives the key as a bearer token, or needs none."""
        path = scope["path"]
        if self._key is None or path in PROBES or (scope["method"], path) == ("GET", "/"):
            return True
        given = _headers(scope, b"authorization")
        kind, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return kind.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)


def _headers(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


def _is_last(scope: Scope) -> bool:
    """Return whether the client wants the connection to be closed after this request."""
    return scope.get("http_version") == "1.0" or any(
        b"close" in each.lower() for each in _headers(scope, b"connection")
    )


def _waits(scope: Scope) -> bool:
    """Return whether the client sends no body before it is told to."""
    return bool(_headers(scope, b"expect"))


def _is_for_this_machine(scope: Scope) -> bool:
    """Return whether a request names the machine itself in its Host header, or has none."""
    hosts = [re.sub(r":\d*$", "", each.decode("latin-1")).strip("[]") for each in _headers(scope, b"host")]
    return all(map(is_loopback, hosts))


def _not_for_this_machine() -> Response:
    sentence = "without an API key, this server responds to localhost and 127.0.0.1 only, not to other host names"
    return json_response({"error": sentence}, 421)


def _no_key() -> Response:
    sentence = "the API key is missing or wrong; send the header Authorization: Bearer KEY"
    return json_response({"error": sentence}, 401, {"WWW-Authenticate": "Bearer"})


def log_line(facts: dict[str, Any]) -> None:
    """Print the facts of a request as one line of JSON. Nothing happens where nobody reads the output any more."""
    with contextlib.suppress(OSError):
        print(json.dumps(facts), flush=True)
