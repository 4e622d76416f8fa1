"""The application: which path does what."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response

from alexnet.errors import shown
from alexnet.serving import inference_protocol, schema
from alexnet.serving.gate import CLIENT_LEFT, PROBES, Gate, Guard, json_response, log_line
from alexnet.serving.metrics import CONTENT_TYPE
from alexnet.serving.models import Served
from alexnet.serving.reading.images import DEFAULT_TOP
from alexnet.serving.reading.refusal import RequestError
from alexnet.serving.service import Service
from alexnet.serving.settings import ServerSettings
from alexnet.version import VERSION

# The pages may load nothing from elsewhere, whatever is in them.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    f"{POLICY}; script-src 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "worker-src blob:"
)
Top = Annotated[int, Query(ge=1, description="Most classes for each image.")]
ModelName = Annotated[str | None, Query(description="Name of the model; by default the first.")]


def create_app(
    models: Mapping[str, Served],
    settings: ServerSettings,
    *,
    page: str,
    api_key: str | None = None,
    log: Callable[[dict[str, Any]], None] = log_line,
) -> FastAPI:
    """Return the application that serves models.

    Args:
        models: the models by name; the first is the default.
        settings: the limits.
        page: the HTML of ``GET /``.
        api_key: what requests must give; None: nothing.
        log: is given the facts of each request.
    """
    service = Service(models, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    # FastAPI's own pages at /docs and /redoc load scripts from elsewhere.
    app = FastAPI(
        title="alexnet",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.is_stopping = False
    # What is added last comes first.
    app.add_middleware(Guard, key=api_key, is_local=settings.is_local)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Gate, metrics=service.metrics, log=log)
    _add_predicting(app, service, settings)
    _add_looking(app, service, page)
    app.include_router(inference_protocol.router(service.find, lambda: app.state.is_stopping))
    _add_error_handlers(app)
    if api_key is not None:
        _describe_key(app)
    return app


def _add_predicting(app: FastAPI, service: Service, settings: ServerSettings) -> None:
    """Add the paths that take images."""
    errors = (400, 401, 404, 408, 413, 422, 503, 504)
    body = schema.images_body(settings.max_images)

    @app.post("/predict", responses=schema.responses(schema.Predictions, *errors), openapi_extra=body)
    async def predict(request: Request, top: Top = DEFAULT_TOP, model: ModelName = None) -> Response:
        """Predict the classes of one or several images: the bytes of a file, a form with files, or base64 in JSON."""
        return await service.predict(request, model, top)

    @app.post("/explain", responses=schema.responses(schema.Explanations, *errors), openapi_extra=body)
    async def explain(request: Request, top: Top = DEFAULT_TOP, model: ModelName = None) -> Response:
        """Predict, at most five classes, and show with Grad-CAM where each image speaks for the first ones."""
        return await service.explain(request, model, top)

    @app.post(
        "/", responses=schema.responses(list[schema.LabelScore], *errors), openapi_extra=schema.hugging_face_body()
    )
    async def hugging_face(request: Request, model: ModelName = None) -> Response:
        """Predict the classes of one image, as an image-classification endpoint of Hugging Face does."""
        return await service.hugging_face(request, model)


def _add_looking(app: FastAPI, service: Service, page: str) -> None:
    """Add the paths that show something of the server."""

    @app.get("/", response_class=HTMLResponse)
    async def show_page() -> HTMLResponse:
        """The page to drop images on."""
        return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})

    @app.get("/model", responses=schema.responses(schema.ModelInfo, 401, 404, 422))
    async def model_info(model: ModelName = None) -> Response:
        """A model, its classes, and what requests may hold."""
        return json_response(service.describe(model))

    @app.get("/health", responses=schema.responses(schema.Status))
    async def health() -> Response:
        """Whether the server runs."""
        return json_response({"status": "ok"})

    @app.get("/ready", responses={**schema.responses(schema.Status), 503: {"model": schema.Status}})
    async def ready() -> Response:
        """Whether the server accepts requests: status 503 once it is stopping."""
        if app.state.is_stopping:
            return json_response({"status": "stopping"}, 503)
        return json_response({"status": "ok"})

    @app.get("/metrics", response_class=Response, responses=schema.responses(None, 401))
    async def metrics() -> Response:
        """Numbers for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """The OpenAPI description as a page."""
        return HTMLResponse(schema.docs_page(app.openapi()), headers={"Content-Security-Policy": POLICY})

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> Response:
        """Nothing: browsers ask for it on their own, and report an error where it is missing."""
        return Response(status_code=204)


def _add_error_handlers(app: FastAPI) -> None:
    """Let every error be ``{"error": sentence}``."""

    @app.exception_handler(RequestError)
    async def refuse(_: Request, error: RequestError) -> Response:
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return json_response({"error": str(error)}, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_parameter(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"][1:]))
        return json_response({"error": f"{name} is {shown(first.get('input'))}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def refuse_path(request: Request, error: HTTPException) -> Response:
        headers, sentence = dict(error.headers or {}), str(error.detail)
        if error.status_code == 404:
            sentence = "there is nothing at this path; /docs lists what there is"
        if error.status_code == 405:
            # Starlette names the methods of one route, and a path may have several.
            methods = [method.upper() for method in app.openapi()["paths"].get(request.scope["path"], ())]
            headers["Allow"] = ", ".join(methods) or headers.get("Allow", "")
            sentence = f"{request.state.facts.method} is not offered at this path, only {headers['Allow']}"
        return json_response({"error": sentence}, error.status_code, headers)

    @app.exception_handler(ClientDisconnect)
    async def end(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_LEFT)  # for the log: the client has left


def _describe_key(app: FastAPI) -> None:
    """Say in the OpenAPI description which paths need the API key."""
    described = app.openapi()
    described["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "The API key"}
    }
    described["security"] = [{"key": []}]
    for path in ("/", *PROBES):
        described["paths"][path]["get"]["security"] = []
