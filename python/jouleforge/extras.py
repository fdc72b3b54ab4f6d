"""Extras: which optional dependency brings which package, for the message when it is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from jouleforge.errors import MissingError

EXTRAS = {
    "torch": "convert",
    "transformers": "convert",
    "onnx": "convert",
    "onnx_ir": "convert",
    "onnxscript": "convert",
    "safetensors": "convert",
    "datasets": "convert",
    "onnxruntime": "cpu",
    "openvino": "openvino",
    "nncf": "openvino",
    "tensorrt": "tensorrt",
    "flash_attn": "flash",
    "codecarbon": "carbon",
    "jinja2": "report",
}
"""Import name -> extra of this package."""


@contextmanager
def named() -> Iterator[None]:
    """Say what to install when the body imports a package that is not there.

    Raises:
        MissingError: In place of the import's own error, for packages that an extra brings.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingError(
            f"this needs {package}, which is not installed: "
            f"pip install 'jouleforge[{EXTRAS[package]}]'"
        ) from error
