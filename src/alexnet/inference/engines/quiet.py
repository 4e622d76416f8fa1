"""Import the engines of others so that they neither report to anybody nor write into the user's folders.

Import them nowhere else: each reports as soon as it is imported.
"""

import os
import sys
from importlib import import_module
from typing import Any

from alexnet.errors import SettingsError, one_line


def onnxruntime() -> Any:
    """Return the package onnxruntime.

    Its official builds send events to Microsoft, and keep an identifier and a database in the user's cache folder. They
    read the variable once (onnxruntime/Privacy.md of 1.32).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return _imported("onnxruntime")


def openvino() -> Any:
    """Return the package openvino. It sends an event to Google Analytics, and writes an identifier into the home."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return _imported("openvino")


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise SettingsError(
            f"{package} cannot be imported ({one_line(error)}); install it again, with: pip install --force-reinstall "
            f"{package}"
        ) from error
