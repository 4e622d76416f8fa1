"""The health and metadata of the Open Inference Protocol, as KServe, Triton and others offer them. No ``infer``.

Source: https://github.com/kserve/open-inference-protocol, REST, version 2.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from alexnet.serving import schema
from alexnet.serving.gate import json_response
from alexnet.serving.models import Served
from alexnet.version import VERSION


def router(find: Callable[[str], Served], is_stopping: Callable[[], bool]) -> APIRouter:
    """Return the routes below ``/v2``.

    Args:
        find: returns a model by name, or raises ``RequestError``.
        is_stopping: whether the server accepts no more requests.
    """
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    def status() -> int:
        return 503 if is_stopping() else 200

    @routes.get("", responses=schema.responses(schema.ServerMetadata, 401))
    async def server_metadata() -> Response:
        """The server and its version."""
        return json_response({"name": "alexnet", "version": VERSION, "extensions": []})

    @routes.get("/health/live", responses=schema.responses(schema.Live))
    async def server_live() -> Response:
        """Whether the server runs."""
        return json_response({"live": True})

    @routes.get("/health/ready", responses={**schema.responses(schema.Ready), 503: {"model": schema.Ready}})
    async def server_ready() -> Response:
        """Whether the server accepts requests: status 503 once it is stopping."""
        return json_response({"ready": not is_stopping()}, status())

    @routes.get("/models/{name}", responses=schema.responses(schema.ModelMetadata, 401, 404, 422))
    async def model_metadata(name: str) -> Response:
        """A model's inputs and outputs."""
        return json_response(metadata(find(name)))

    @routes.get(
        "/models/{name}/ready",
        responses={**schema.responses(schema.ModelReady, 401, 404, 422), 503: {"model": schema.ModelReady}},
    )
    async def model_ready(name: str) -> Response:
        """Whether a model accepts requests: status 503 once the server is stopping."""
        return json_response({"name": find(name).name, "ready": not is_stopping()}, status())

    return routes


def metadata(served: Served) -> dict[str, Any]:
    """Return what the protocol says of a model: one input, ``images``, and one output, ``probabilities``."""
    about = served.describe()
    side = about["image_size"]
    images = {"name": "images", "datatype": "UINT8", "shape": [-1, side, side, about["n_channels"]]}
    probabilities = {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(about["classes"])]}
    return {
        "name": served.name,
        "versions": ["1"],
        "platform": f"alexnet_{served.classifier.engine.name}",
        "inputs": [images],
        "outputs": [probabilities],
    }
