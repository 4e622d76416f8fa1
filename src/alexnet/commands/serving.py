"""The command that serves models over HTTP."""

from typing import Annotated, Literal

from alexnet.commands.usage import UsageError
from alexnet.errors import SettingsError, words
from alexnet.files.installed import is_installed
from alexnet.serving.settings import KEY_VARIABLE, ServerSettings, read_api_key

# What the extra "serve" installs.
PACKAGES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn")


def serve(
    model: tuple[str, ...],
    /,
    *,
    choices: ServerSettings = ServerSettings(),  # noqa: B008
    engine: Annotated[Literal["auto", "torch", "onnxruntime", "openvino"], "options"] = "auto",
) -> int:
    """Serve models over HTTP, with a page to drop images on.

    Prints a line of JSON for each request, without its images. Ctrl-C or SIGTERM stops it once all requests have their
    response. docs/serving.md lists the paths; /openapi.json describes them.

    Args:
        model: Run folders, exported models, or hf:user/name. Requests get the first unless they name another.
        choices: Where to listen, and what to accept.
        engine: torch, onnxruntime or openvino; auto: the fastest that is installed.

    Examples:
        alexnet serve runs/images
        alexnet serve runs/images.onnx --host 0.0.0.0 --api-key-file key.txt
    """
    if not model:
        raise UsageError("serve needs at least one model")
    api_key = read_api_key(choices.api_key_file)
    if missing := [package for package in PACKAGES if not is_installed(package)]:
        raise SettingsError(f"alexnet serve needs {words(missing)}; pip install 'alexnet[serve]'")
    from alexnet.commands.terminal import display
    from alexnet.serving.app import create_app
    from alexnet.serving.models import load_models
    from alexnet.serving.running import bind, run
    from alexnet.web.build import server_page

    with bind(choices.host, choices.port) as bound:
        models = load_models(model, engine, choices.max_pixels)
        for served in models.values():
            display.say(f"engine: {served.classifier.engine.title} ({served.name})")
        host, port = bound.getsockname()[:2]
        if not choices.is_local and api_key is None:
            display.warn([f"anyone who reaches {host} may use this server; set {KEY_VARIABLE} or give --api-key-file"])
        display.say(f"serving {', '.join(models)} on http://{f'[{host}]' if ':' in host else host}:{port}")
        run(create_app(models, choices, page=server_page(), api_key=api_key), choices, bound)
    return 0
