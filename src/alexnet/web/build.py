"""The page as one text: HTML, style and scripts. It needs no other file, and may ask nobody for anything.

There are two of them. The page of a server sends images to it; the standalone page has the network inside. The scripts
are plain files, put one after the other: the sources are what a browser shows.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from markupsafe import Markup

# By this a standalone page is known to be one.
GENERATOR = '<meta name="generator" content="alexnet export --format web">'

# What computes predictions. It runs in a worker, or in the page where there are no workers.
COMPUTE = ("resize.js", "decode.js", "norms.js", "layers.js", "network.js", "classifier.js")
LOCAL = ("overlay.js", "local.js", "page.js")
SERVER = ("overlay.js", "server.js", "page.js")
# What the page says of a network, beside the network itself.
DESCRIPTION = ("name", "classes", "resize", "notes")


def server_page() -> str:
    """Return the page of a server: it asks ``GET /model``, and sends images to ``POST /explain`` or ``/predict``."""
    return _page("alexnet", {"page": script(SERVER)}, connect="'self'", generator="", blocks=Markup())


def standalone_page(network: Mapping[str, Any], title: str) -> str:
    """Return a page with the network inside.

    Args:
        network: what ``encoding.encode`` returns, and the ``DESCRIPTION``.
        title: the title of the page.
    """
    description = {name: network[name] for name in DESCRIPTION}
    rest = {name: value for name, value in network.items() if name not in DESCRIPTION or name == "classes"}
    blocks = _data("model", description) + _data("network", rest)
    scripts = {"compute": script(COMPUTE), "page": script(LOCAL)}
    return _page(title, scripts, connect="'none'", generator=GENERATOR, blocks=blocks)


def _page(title: str, scripts: Mapping[str, str], *, connect: str, generator: str, blocks: Markup) -> str:
    """Return a page.

    Args:
        title: its title.
        scripts: its scripts by their ids.
        connect: where they may send requests, in the words of a content security policy.
        generator: the element that says what made the page.
        blocks: data for the scripts.
    """
    style = _source("style.css")
    # Only these very texts may run, whatever a name contains.
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts.values()))}; style-src {_hash(style)}; "
        f"img-src data: blob:; worker-src blob:; connect-src {connect}; form-action 'none'; base-uri 'none'"
    )
    made = [Markup('<script id="{}">{}</script>').format(name, Markup(text)) for name, text in scripts.items()]
    return Markup(_source("page.html")).format(
        policy=policy,
        generator=Markup(generator),
        title=title,
        style=Markup(style),
        scripts=blocks + Markup("\n").join(made),
    )


def _data(name: str, value: object) -> Markup:
    """Return a block of JSON. Nothing in it ends the block: ``<`` is written as an escape."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return Markup('<script type="application/json" id="{}">{}</script>\n').format(name, Markup(text))


def script(names: tuple[str, ...]) -> str:
    """Return several files as one script."""
    text = "\n".join(['"use strict";', *map(_source, names)])
    assert "</script" not in text
    assert "<!--" not in text
    return text


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _source(name: str) -> str:
    return files("alexnet.web").joinpath(name).read_text(encoding="utf-8")
