import json
import re

import pytest

from alexnet.web.build import COMPUTE, LOCAL, SERVER, script, server_page, standalone_page

from ..html.page import HOSTILE

NETWORK = {
    "name": HOSTILE, "classes": [HOSTILE, "b"], "resize": "squash", "notes": [HOSTILE], "layers": [], "weights": "",
}  # fmt: skip


@pytest.mark.parametrize("page", [server_page(), standalone_page(NETWORK, HOSTILE)], ids=["server", "standalone"])
def test_a_page_names_no_other_place(page) -> None:
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert set(addresses) == {"#results", "data:,"}
    assert not re.search(r"https?://|@import|url\(", page)
    assert "default-src &#39;none&#39;" in page


def test_only_the_page_of_a_server_may_send_anything() -> None:
    assert "connect-src &#39;self&#39;" in server_page()
    assert "connect-src &#39;none&#39;" in standalone_page(NETWORK, "x")
    assert "fetch(" not in script(COMPUTE) + script(LOCAL)
    assert "fetch(" in script(SERVER)


def test_names_end_no_element() -> None:
    page = standalone_page(NETWORK, HOSTILE)
    assert HOSTILE not in page
    assert page.count("</script>") == 4
    block = re.search(r'id="model">(.*?)</script>', page)
    assert block is not None
    assert json.loads(block[1])["name"] == HOSTILE
