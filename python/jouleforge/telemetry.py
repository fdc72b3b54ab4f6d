"""Telemetry: packages that report their use to their makers are imported so that they do not."""

import importlib
import sys
from typing import Any


def import_quietly(name: str) -> Any:
    """Return the package `openvino` or `nncf`, without `openvino_telemetry`.

    OpenVINO depends on that package, and with it sends events to an analytics service when it is
    imported; where it cannot be imported, OpenVINO and NNCF use a stub of their own.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module(name)
