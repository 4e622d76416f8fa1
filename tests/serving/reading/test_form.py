import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.serving.reading.form import MOST_PARTS, files_of
from alexnet.serving.reading.refusal import RequestError

PNG = b"\x89PNG\r\n\x1a\n\r\n--edg of a file\r\n--"


def form(*parts: tuple[str, bytes], edge: bytes = b"edge") -> bytes:
    """Return a form of parts: what follows ``form-data``, and the content."""
    head = b"--" + edge + b"\r\nContent-Type: image/png\r\nContent-Disposition: form-data"
    blocks = [head + about.encode() + b"\r\n\r\n" + body + b"\r\n" for about, body in parts]
    return b"".join(blocks) + b"--" + edge + b"--\r\n"


def refused(body: bytes, edge: bytes = b"edge") -> str:
    with pytest.raises(RequestError) as caught:
        files_of(body, edge)
    assert caught.value.status == 400
    return str(caught.value)


def test_files_of_any_field_are_found_in_order() -> None:
    body = form(
        ('; name="file"; filename="a b.png"', PNG),
        ('; name="note"', b"http://localhost/a.png"),
        ('; name="file"; filename="\u00fcber.png"', b""),
        ('; name="other"; filename=""', b"c"),
    )
    assert files_of(body, b"edge") == [("a b.png", PNG), ("\u00fcber.png", b""), ("image 3", b"c")]


def test_a_long_name_is_cut() -> None:
    ((name, _),) = files_of(form((f'; name="a"; filename="{"x" * 1000}"', b"")), b"edge")
    assert name == "x" * 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "last boundary"),
        (b"nonsense", "damaged"),
        (form(('; name="a"; filename="a"', PNG))[:-20], "last boundary"),
        (form(('; name="a"; filename="a"', PNG), edge=b"other"), "damaged"),
        (form(('; name="a"', PNG)), "no part of the form is a file"),
        (form(), "no part of the form is a file"),
        (form(*[('; name="a"', b"")] * (MOST_PARTS + 1)), "more than"),
        (b"--edge\r\n" + b"a: b\r\n" * 5000, "damaged"),
        (b"--edge\r\n" + b"a" * 100_000, "damaged"),
    ],
)
def test_a_damaged_form_is_refused(body, words) -> None:
    assert words in refused(body)


def test_a_form_without_a_boundary_is_refused() -> None:
    assert "no boundary" in refused(form(('; name="a"; filename="a"', PNG)), b"")
    assert "damaged" in refused(b"", b"x" * 10_000)


@given(st.binary(max_size=200), st.sampled_from([b"edge", b"e", b"-", b"\xff"]))
def test_any_bytes_are_parsed_or_refused(body, edge) -> None:
    for each in (body, b"--" + edge + b"\r\n" + body, form(('; name="a"; filename="a"', body), edge=edge)):
        with contextlib.suppress(RequestError):
            assert files_of(each, edge)
