"""Converters: from a fine-tuned checkpoint to an engine that was proved to answer like it."""

import errno
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from jouleforge import engine, garbage, variants
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.conversion import Conversion
from jouleforge.engine import Engine
from jouleforge.errors import InputError, MissingError
from jouleforge.recipe import Recipe

# Fields of a recipe whose values a target offers.
_CHOSEN = ("flavour", "attention", "provider", "rest", "quantizer")


def convert(
    checkpoint: Checkpoint | str | Path,
    recipe: Recipe,
    out: str | Path,
    *,
    task: str | None = None,
    force: bool = False,
    allow_pickle: bool = False,
) -> Engine:
    """Convert a checkpoint into an engine folder, and return it.

    Args:
        checkpoint: A folder, the name of one under `$JOULEFORGE_DATA/checkpoints`, or a hub id.
        recipe: What to make of it; `"auto"` choices are made by the target or by the search.
        out: Folder of the engine. It appears when everything has passed, or not at all.
        task: Shipped task or task file: calibration rows come from it, and the engine must keep its
            metric. Without one the engine's accuracy is not checked, which is a caveat.
        force: Replace an engine that is there.
        allow_pickle: Read weights from a pickle, which can run any code, where there is no other.

    Raises:
        InputError: The checkpoint, the recipe or the task cannot be used, or `out` exists.
        MissingError: A package is not installed, or the disk is full.
        GateError: The engine would not answer as the checkpoint does, or would not run as the
            recipe says; nothing was written.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint.load(checkpoint)
    target = variants.load("jouleforge.converters.targets", recipe.target)
    recipe = _resolved(recipe, target, checkpoint)
    if recipe.is_calibrated and task is None:
        raise InputError(
            f"{recipe.precision} needs calibration rows: name the task the checkpoint was "
            "fine-tuned for (--task)"
        )
    try:
        with garbage.of_new_objects(), engine.writing(Path(out), force=force) as folder:
            work = Conversion.begin(
                checkpoint, recipe, target, folder, task=task, allow_pickle=allow_pickle
            )
            work.write()
            engine.write_manifest(folder, work.proved())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MissingError(
            f"the disk of {Path(out).absolute().parent} is full; make room (the engine takes about "
            "as much as the checkpoint, twice while it is made). No engine was written."
        ) from error
    return Engine.open(out)


def _resolved(recipe: Recipe, target: ModuleType, checkpoint: Checkpoint) -> Recipe:
    """Return the recipe with the target's defaults for `auto`, after checking every choice."""
    if recipe.precision not in target.PRECISIONS:
        raise InputError(
            f"the target {recipe.target} has no precision {recipe.precision!r}; it offers "
            f"{', '.join(target.PRECISIONS)}"
        )
    offered = target.choices(recipe.precision)
    chosen = {field: _choice(recipe, field, offered.get(field, ())) for field in _CHOSEN}
    if recipe.max_length > checkpoint.max_length:
        raise InputError(
            f"max_length {recipe.max_length} is more than the {checkpoint.max_length} tokens "
            f"{checkpoint.name} was trained for"
        )
    chosen["max_length"] = recipe.max_length or checkpoint.max_length
    resolved = Recipe.model_validate({**recipe.model_dump(), **chosen})
    if reason := target.refusal(resolved):
        raise InputError(reason)
    return resolved


def _choice(recipe: Recipe, field: str, offered: Sequence[str]) -> Any:
    asked = getattr(recipe, field)
    if asked in ("auto", "none"):
        return offered[0] if offered else "none"
    if asked not in offered:
        choices = ", ".join(offered) or "nothing: it has no such choice"
        raise InputError(
            f"the target {recipe.target} with precision {recipe.precision} has no {field} "
            f"{asked!r}; it offers {choices}"
        )
    return asked
