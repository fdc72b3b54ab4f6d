"""Find the inference engine that answers with the fewest joules, and prove it.

`convert` makes an engine of a checkpoint, `adopt` one of an ONNX folder that somebody else made,
`measure` runs either over a task's texts, `study` does all of it for many, `compare` puts the
measurements side by side, and `write_report` prints them. `verify` checks an engine again, and
`explain` says where its values part from the checkpoint's.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jouleforge.comparison import compare
    from jouleforge.converters import convert
    from jouleforge.converters.adoption import adopt
    from jouleforge.converters.explanation import explain
    from jouleforge.converters.verification import verify
    from jouleforge.doctor import examine
    from jouleforge.measurement import read_measurements
    from jouleforge.protocol import measure
    from jouleforge.recipe import Recipe
    from jouleforge.reports import write_report
    from jouleforge.studies import run_study as study

__version__ = "0.1.0"

# Loaded when first used: the command line answers `--help` without NumPy, let alone torch.
_PLACES = {
    "Recipe": ("jouleforge.recipe", "Recipe"),
    "adopt": ("jouleforge.converters.adoption", "adopt"),
    "compare": ("jouleforge.comparison", "compare"),
    "convert": ("jouleforge.converters", "convert"),
    "explain": ("jouleforge.converters.explanation", "explain"),
    "examine": ("jouleforge.doctor", "examine"),
    "measure": ("jouleforge.protocol", "measure"),
    "read_measurements": ("jouleforge.measurement", "read_measurements"),
    "study": ("jouleforge.studies", "run_study"),
    "verify": ("jouleforge.converters.verification", "verify"),
    "write_report": ("jouleforge.reports", "write_report"),
}

__all__ = [
    "Recipe",
    "adopt",
    "compare",
    "convert",
    "examine",
    "explain",
    "measure",
    "read_measurements",
    "study",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'jouleforge' has no attribute {name!r}")
    from jouleforge import extras

    module, attribute = _PLACES[name]
    with extras.named():
        return getattr(importlib.import_module(module), attribute)
