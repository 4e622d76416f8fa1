import base64
import json

import pytest

from alexnet.errors import ImageError
from alexnet.serving.reading.images import hugging_face_input, images_of
from alexnet.serving.reading.refusal import RequestError

FILE = b"the bytes of a file"
BASE64 = base64.b64encode(FILE).decode()
JSON = "application/json"


def refused(parse, body, kind: str = JSON, **options) -> str:
    """Return why a request is refused; with status 400."""
    with pytest.raises(RequestError) as caught:
        parse(body if isinstance(body, bytes) else json.dumps(body).encode(), kind, **options)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 300
    return str(caught.value)


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "", "text/plain; a", "!"])
def test_a_body_is_an_image_whatever_its_content_type(kind) -> None:
    (sent,) = images_of(FILE, kind, most=1)
    assert (sent.name, sent.content) == ("image", FILE)


@pytest.mark.parametrize("kind", ["image/jpeg", JSON])
def test_a_request_without_an_image_is_refused(kind) -> None:
    body = json.dumps({"images": []}).encode() if kind == JSON else b""
    assert "no image" in refused(images_of, body, kind, most=1)


@pytest.mark.parametrize(
    "text",
    [BASE64, f"data:image/png;base64,{BASE64}", "\n".join(BASE64[at : at + 4] for at in range(0, len(BASE64), 4))],
)
def test_base64_may_be_a_data_url_or_of_several_lines(text) -> None:
    (sent,) = images_of(json.dumps({"images": [text]}).encode(), "Application/JSON; charset=utf-8", most=1)
    assert sent.content == FILE


def test_several_images_are_numbered_and_each_fails_alone() -> None:
    urls = ["http://localhost:1/a.png", " FILE:///etc/passwd", "s3://bucket/a"]
    body = {"images": [BASE64, "#", *urls, "a" * 1001]}
    sent = images_of(json.dumps(body).encode(), JSON, most=9)
    assert [each.name for each in sent] == [f"image {number}" for number in range(1, 7)]
    assert sent[0].content == FILE
    reasons = [each.content.reason for each in sent[1:] if isinstance(each.content, ImageError)]
    assert len(reasons) == 5
    assert "not base64" in reasons[0]
    assert all("URL" in reason for reason in reasons[1:4])
    assert "not base64" in reasons[4]


def test_more_images_than_allowed_are_refused_with_the_option_that_allows_more() -> None:
    with pytest.raises(RequestError, match="--max-images") as caught:
        images_of(json.dumps({"images": [BASE64] * 3}).encode(), JSON, most=2)
    assert caught.value.status == 413


def test_hugging_face_takes_one_image() -> None:
    form = b"".join(b'--b\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\na\r\n' for _ in "ab")
    with pytest.raises(RequestError, match="send several to /predict") as caught:
        hugging_face_input(form + b"--b--\r\n", "multipart/form-data; boundary=b")
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'{"images": NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b'{"images": ' + b"9" * 5000 + b"}", "not JSON"),
        ([], "object"),
        ({}, "'images' is None"),
        ({"images": "abc"}, "'images' is 'abc'"),
        ({"images": [BASE64, 7]}, "image 2 is 7"),
        ({"image": []}, "did you mean 'images'"),
        ({"x" * 100_000: []}, "unknown field"),
        ({"images": {"\ud800": 1}}, "'images'"),
    ],
)
def test_json_that_holds_no_images_is_refused(body, words) -> None:
    assert words in refused(images_of, body, most=1)


def test_hugging_face_sends_bytes_or_base64_with_parameters() -> None:
    sent, top = hugging_face_input(FILE, "image/jpeg")
    assert (sent.content, top) == (FILE, 5)
    for parameters, expected in [(None, 5), ({}, 5), ({"top_k": 2}, 2), ({"top_k": None}, 5), ({"top_k": 3.0}, 3)]:
        body = {"inputs": BASE64, "parameters": parameters, "options": {"wait_for_model": True}}
        sent, top = hugging_face_input(json.dumps(body).encode(), JSON)
        assert (sent.content, top) == (FILE, expected)
    body = {"inputs": BASE64, "parameters": {"function_to_apply": "softmax"}}
    assert hugging_face_input(json.dumps(body).encode(), JSON)[0].content == FILE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'inputs' is missing"),
        ({"inputs": 7}, "image is 7"),
        (b'{"inputs": "", "parameters": {"top_k": 1e999}}', "'top_k'"),
        ({"inputs": BASE64, "parameters": [1]}, "must be an object"),
        ({"inputs": BASE64, "parameters": {"function_to_apply": "sigmoid"}}, "only softmax"),
        ({"inputs": BASE64, "parameters": {"top": 1}}, "did you mean 'top_k'"),
        *(({"inputs": BASE64, "parameters": {"top_k": top}}, "'top_k'") for top in (0, -1, 1.5, True, "5", [5])),
    ],
)
def test_what_hugging_face_would_refuse_is_refused(body, words) -> None:
    assert words in refused(hugging_face_input, body)


def test_a_url_for_hugging_face_is_refused() -> None:
    sent, _ = hugging_face_input(json.dumps({"inputs": "https://example.org/a.png"}).encode(), JSON)
    assert isinstance(sent.content, ImageError)
    assert "nothing is downloaded" in sent.content.reason
