"""What every request passes: the API key, the metrics, and a line in the log. No image content is logged."""

import contextlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alexnet.serving.metrics import Metrics

# Whether the server runs may be asked without a key. So may the page, which holds nothing of the model: it asks for the
# key, and sends it.
PROBES = frozenset({"/health", "/ready"})
# Paths that have numbers of their own in the metrics. All others, which clients choose, share one.
COUNTED_PATHS = PROBES | {"/", "/predict", "/explain", "/model", "/metrics", "/openapi.json", "/v2"}
# Browsers take a response for what its content type says, and keep none.
SAFE_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
# The status of a request whose client has left, as in nginx. Nobody sees it but the log.
CLIENT_LEFT = 499
# A longer path is cut.
MOST_CHARACTERS = 200


@dataclass
class Facts:
    """What the log says of a request besides its path and status."""

    model: str | None = None
    n_images: int = 0


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response. Unlike Starlette's, it may hold text that UTF-8 cannot encode, such as file names."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


class Gate:
    """ASGI middleware around the application.

    Args:
        app: the application.
        key: what requests must give; None: nothing.
        metrics: counts each request.
        log: is given the facts of each request.
    """

    def __init__(
        self, app: ASGIApp, *, key: str | None, metrics: Metrics, log: Callable[[dict[str, Any]], None]
    ) -> None:
        self._app = app
        self._key = None if key is None else key.encode()
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, facts = time.perf_counter(), CLIENT_LEFT, Facts()
        shared = scope["app"].state
        # The server itself leaves out the body of a response to HEAD.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        scope = {**scope, "method": method, "state": {**scope.get("state", {}), "facts": facts}}

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                closing = [(b"connection", b"close")] if shared.is_stopping else []
                message = {**message, "headers": [*message.get("headers", ()), *SAFE_HEADERS, *closing]}
            await send(message)

        try:
            await (self._app if self._may_pass(scope) else _no_key())(scope, receive, send_safely)
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
                    "method": scope["method"],
                    "path": path[:MOST_CHARACTERS],
                    "status": status,
                    "milliseconds": round(1000 * seconds, 1),
                    "model": facts.model,
                    "images": facts.n_images,
                }
            )

    def _may_pass(self, scope: Scope) -> bool:
        """Return whether a request gives the key as a bearer token, or needs none."""
        path = scope["path"]
        if self._key is None or path in PROBES or (scope["method"], path) == ("GET", "/"):
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return kind.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)


def _no_key() -> Response:
    sentence = "the API key is missing or wrong; send the header Authorization: Bearer KEY"
    return json_response({"error": sentence}, 401, {"WWW-Authenticate": "Bearer"})


def log_line(facts: dict[str, Any]) -> None:
    """Print the facts of a request as one line of JSON. Nothing happens where nobody reads the output any more."""
    with contextlib.suppress(OSError):
        print(json.dumps(facts), flush=True)
