import os

from alexnet.html.elements import element, joined

from .page import HOSTILE, Page


def test_text_stays_text_in_content_and_in_attributes() -> None:
    page = Page(element("td", HOSTILE, title=HOSTILE))
    assert page.elements == [("td", {"title": HOSTILE})]
    assert page.text == HOSTILE


def test_html_is_not_escaped_again_except_in_an_attribute() -> None:
    inner = element("b", "x & y")
    assert element("td", inner, " < z") == "<td><b>x &amp; y</b> &lt; z</td>"
    assert Page(element("td", title=inner)).elements == [("td", {"title": "<b>x &amp; y</b>"})]
    assert joined("<", inner) == "&lt;<b>x &amp; y</b>"


def test_an_image_has_no_end() -> None:
    assert element("img", alt="a cat") == '<img alt="a cat">'


def test_a_path_that_is_not_text_can_be_sent() -> None:
    assert element("td", os.fsdecode(b"caf\xe9.jpg")).encode() == rb"<td>caf\udce9.jpg</td>"
