"""Verification: an engine on disk is what was written, and still answers as it did."""

from pathlib import Path

from jouleforge import variants
from jouleforge.converters import parity
from jouleforge.engine import PARITY, Engine
from jouleforge.errors import InputError
from jouleforge.proof import ParityStage


def verify(engine: Engine | str | Path) -> ParityStage:
    """Check every file of an engine against its digest, and replay its parity inputs.

    Returns:
        How near the answers are to the float32 module's, on this machine and its runtime.

    Raises:
        InputError: A file is missing or was changed; the engine is not loaded.
        MissingError: Its runtime is not installed.
        GateError: It answers otherwise than its manifest says.
    """
    if not isinstance(engine, Engine):
        engine = Engine.open(engine)
    recipe = engine.manifest.recipe
    if PARITY not in engine.manifest.files:
        raise InputError(f"{engine.path} holds no {PARITY}; convert it again")
    target = variants.load("jouleforge.converters.targets", recipe.target)
    cases, expected = parity.load(engine.path / PARITY)
    return parity.check(
        "the engine",
        target.answer(engine.path, recipe),
        cases=cases,
        expected=expected,
        bound=parity.bound(recipe),
        kind=engine.manifest.checkpoint.kind,
    )
