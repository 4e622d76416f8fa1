"""The OpenAPI description of what requests hold and what is returned. docs/serving.md says it in prose."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from alexnet.html.blocks import card, note, table
from alexnet.html.elements import Html, element, joined
from alexnet.serving.reading.images import DEFAULT_TOP

Probability = Annotated[float, Field(ge=0, le=1)]


class Error(BaseModel):
    """What is wrong, and what to do."""

    error: str


class LabelProbability(BaseModel):
    """A class and its probability."""

    label: str
    probability: Probability


class Unreadable(BaseModel):
    """One of several images that cannot be read, and why."""

    name: str
    error: str


class Predicted(BaseModel):
    """The most probable classes of an image, most probable first."""

    name: str
    predictions: list[LabelProbability]


class Predictions(BaseModel):
    """What a model predicts for each image, in the order sent."""

    model: str
    results: list[Predicted | Unreadable]


class ReceptiveField(BaseModel):
    """Which pixels the positions of a map see: windows of ``size``, ``stride`` apart, the first at ``start``."""

    size: int
    stride: int
    start: int
    n: int
    image_size: int
    end: int


class ClassMap(BaseModel):
    """Where the image speaks for a class (Grad-CAM): rows of numbers, at least 0."""

    label: str
    values: list[list[Annotated[float, Field(ge=0)]]]
    field: ReceptiveField


class Explained(BaseModel):
    """The most probable classes of an image, and where it speaks for the first ones."""

    name: str
    predictions: list[LabelProbability]
    maps: list[ClassMap]


class Explanations(BaseModel):
    """What a model predicts for each image and why, in the order sent."""

    model: str
    results: list[Explained | Unreadable]


class LabelScore(BaseModel):
    """A class and its probability, in the words of Hugging Face."""

    label: str
    score: Probability


class Limits(BaseModel):
    """What a request may hold."""

    upload_bytes: int
    pixels: int
    images: int


class ModelInfo(BaseModel):
    """A model, the limits of this server, and the names of all its models."""

    name: str
    classes: list[str]
    image_size: int
    n_channels: int
    resize: Literal["squash", "crop", "pad"]
    engine: str
    explains: bool
    limits: Limits
    version: str
    models: list[str]


class Status(BaseModel):
    """Whether the server runs."""

    status: Literal["ok", "stopping"]


class Live(BaseModel):
    """Open Inference Protocol: whether the server runs."""

    live: bool


class Ready(BaseModel):
    """Open Inference Protocol: whether the server accepts requests."""

    ready: bool


class ServerMetadata(BaseModel):
    """Open Inference Protocol: the server."""

    name: str
    version: str
    extensions: list[str]


class Tensor(BaseModel):
    """Open Inference Protocol: an input or an output; -1 is any number."""

    name: str
    datatype: Literal["UINT8", "FP32"]
    shape: list[int]


class ModelMetadata(BaseModel):
    """Open Inference Protocol: a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class ModelReady(BaseModel):
    """Open Inference Protocol: whether a model accepts requests."""

    name: str
    ready: bool


DESCRIPTIONS = {
    400: "The request is damaged, or there is no image in it",
    401: "The API key is missing or wrong",
    404: "There is no such model, or Grad-CAM does not cover it",
    408: "The request took too long to arrive",
    413: "The request is too large, or holds too many images",
    422: "The image cannot be read, or a parameter is out of range",
    503: "The queue is full; the header Retry-After says when to try again",
    504: "The request took too long to compute",
}


def responses(returned: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route, given the type that it returns and the statuses of its errors.

    The type is None where it does not return JSON.
    """
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": Error, "description": DESCRIPTIONS[status]} for status in statuses
    }
    return errors if returned is None else {200: {"model": returned}, **errors}


_FILE = {"type": "string", "format": "binary"}
_BASE64 = {"type": "string", "format": "byte", "description": "The file of an image in base64; no URL"}


def images_body(most: int) -> dict[str, Any]:
    """Return the description of a request of one or several images, at most ``most``."""
    return _body(
        {
            "image/*": {"schema": _FILE},
            "application/octet-stream": {"schema": _FILE},
            "multipart/form-data": {"schema": _images(_FILE, most)},
            "application/json": {"schema": {**_images(_BASE64, most), "additionalProperties": False}},
        }
    )


def hugging_face_body() -> dict[str, Any]:
    """Return the description of a request to a Hugging Face endpoint."""
    parameters = {
        "top_k": {"type": ["integer", "null"], "minimum": 1, "default": DEFAULT_TOP},
        "function_to_apply": {"enum": ["softmax", None]},
    }
    return _body(
        {
            "image/*": {"schema": _FILE},
            "application/octet-stream": {"schema": _FILE},
            "multipart/form-data": {"schema": _images(_FILE, 1)},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "inputs": _BASE64,
                        "parameters": {
                            "type": ["object", "null"],
                            "additionalProperties": False,
                            "properties": parameters,
                        },
                    },
                }
            },
        }
    )


def _images(item: dict[str, Any], most: int) -> dict[str, Any]:
    images = {"type": "array", "minItems": 1, "maxItems": most, "items": item}
    return {"type": "object", "required": ["images"], "properties": {"images": images}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


_PAGE = Html(
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><title>alexnet serve</title><body style="font-family:system-ui">{}'
)


def docs_page(described: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as a page for people. FastAPI's own pages load scripts from elsewhere."""
    cards = [
        card(
            f"{method.upper()} {path}",
            note(operation["description"]),
            table((), [*_inputs(operation), *_outputs(operation)], n_left=2),
        )
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    return _PAGE.format(joined(element("h1", f"{described['info']['title']} {described['info']['version']}"), *cards))


def _outputs(operation: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(status, response["description"]) for status, response in operation["responses"].items()]


def _inputs(operation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a path takes: names, and what they are."""
    parameters = [(each["name"], each.get("description", "")) for each in operation.get("parameters", ())]
    kinds = operation.get("requestBody", {}).get("content", {})
    return [*parameters, ("body", ", ".join(kinds))] if kinds else parameters
