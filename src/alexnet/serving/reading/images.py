"""The images of a request: a file of a form, base64 in JSON, or else the body itself.

A URL is never fetched: a server that downloads what it is told to can reach machines that the client cannot.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from python_multipart.multipart import parse_options_header

from alexnet.errors import ImageError, nearest, one_line, shown
from alexnet.serving.reading.form import MOST_PARTS, files_of
from alexnet.serving.reading.refusal import RequestError

DEFAULT_TOP = 5
# How much of a text is looked at: what it is shows at its beginning.
_N_BEGINNING = 200
_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DATA_URL = re.compile(r"\s*data:[\w/+.-]*;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Sent:
    """An image as it was sent.

    Attributes:
        name: its file name; ``image``, or ``image 1`` of several, where it has none.
        content: the bytes of its file, or why there are none.
    """

    name: str
    content: bytes | ImageError


def is_json(content_type: str) -> bool:
    """Return whether a content type is that of JSON."""
    return parse_options_header(content_type)[0] == b"application/json"


def images_of(body: bytes, content_type: str, most: int) -> list[Sent]:
    """Return the images of a request, at least one.

    Args:
        body: the bytes of the request.
        content_type: its content type. For an image, any will do: its first bytes say what it is.
        most: how many images a request may hold.

    Raises:
        RequestError: there is no image, there are too many, or the request is damaged.
    """
    kind, options = parse_options_header(content_type)
    if is_json(content_type):
        sent = _of_json(body)
    elif kind == b"multipart/form-data":
        sent = [Sent(name, content) for name, content in files_of(body, options.get(b"boundary", b""))]
    else:
        sent = [Sent("image", body)] if body else []
    if not sent:
        raise RequestError(400, "there is no image in the request; send the bytes of a file")
    if len(sent) > most:
        raise RequestError(413, f"the request holds {len(sent)} images; --max-images allows no more than {most}")
    return sent


def hugging_face_input(body: bytes, content_type: str) -> tuple[Sent, int]:
    """Return the image of a request to a Hugging Face endpoint, and how many classes it asks for.

    Raises:
        RequestError: there is not exactly one image, the request is damaged, or it asks for what is not offered here.
    """
    if not is_json(content_type):
        image, *others = images_of(body, content_type, most=MOST_PARTS)
        if others:
            raise RequestError(413, "POST / takes one image; send several to /predict")
        return image, DEFAULT_TOP
    content = _parsed(body, '{"inputs": "the file of an image in base64"}')
    if "inputs" not in content:
        raise RequestError(400, "'inputs' is missing; it must be the file of an image in base64")
    parameters = {} if content.get("parameters") is None else content["parameters"]
    if not isinstance(parameters, dict):
        raise RequestError(400, f"'parameters' is {shown(parameters)}; it must be an object")
    _refuse_unknown(parameters, ("top_k", "function_to_apply"))
    if (function := parameters.get("function_to_apply")) not in (None, "softmax"):
        raise RequestError(400, f"'function_to_apply' is {shown(function)}; only softmax is offered")
    top = DEFAULT_TOP if parameters.get("top_k") is None else parameters["top_k"]
    is_whole = top.is_integer() if isinstance(top, float) else isinstance(top, int) and not isinstance(top, bool)
    if not is_whole or top < 1:
        raise RequestError(400, f"'top_k' is {shown(top)}; it must be a whole number, and at least 1")
    return Sent("image", _from_base64("image", content["inputs"])), int(top)


def _of_json(body: bytes) -> list[Sent]:
    content = _parsed(body, '{"images": ["the file of an image in base64"]}')
    _refuse_unknown(content, ("images",))
    images = content.get("images")
    if not isinstance(images, list):
        raise RequestError(400, f"'images' is {shown(images)}; it must be a list of files in base64")
    names = ["image"] if len(images) == 1 else [f"image {number}" for number in range(1, len(images) + 1)]
    return [Sent(name, _from_base64(name, image)) for name, image in zip(names, images, strict=True)]


def _parsed(body: bytes, example: str) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        RequestError: it is none.
    """
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(400, "the request is not JSON: its brackets are nested too deeply") from None
    except ValueError as error:
        raise RequestError(400, f"the request is not JSON: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise RequestError(400, f"the request must be a JSON object such as {example}")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _refuse_unknown(content: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in content:
        if name not in known:
            # difflib would need gigabytes for a name of megabytes
            raise RequestError(400, f"unknown field {shown(name)}{nearest(name[:_N_BEGINNING], known)}")


def _from_base64(name: str, text: object) -> bytes | ImageError:
    """Return the file, or what is wrong with it.

    Raises:
        RequestError: it is no text, so that the whole request is damaged.
    """
    if not isinstance(text, str):
        raise RequestError(400, f"{name} is {shown(text)}; give its file in base64")
    beginning = text[:_N_BEGINNING]
    if _URL.match(beginning):
        return ImageError(name, "it is a URL, and nothing is downloaded here; send the image itself")
    start = _DATA_URL.match(beginning)
    try:
        # Some programs break base64 into lines.
        return base64.b64decode("".join((text[start.end() :] if start else text).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        return ImageError(name, f"it is not base64 ({one_line(error)})")
