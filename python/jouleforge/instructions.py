"""Instructions: what a processor needs for a precision to be fast, and what it has."""

from jouleforge.environment import Environment
from jouleforge.recipe import Recipe

# Any one of them will do. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1,
# chapters 15 and 18; Arm Architecture Reference Manual, feature names of the kernel.
_FAST = {
    "int8": ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp"),
    "bf16": ("amx_bf16", "avx512_bf16", "bf16"),
    "fp16": ("avx512_fp16", "asimdhp"),
}


def lacking(recipe: Recipe, here: Environment) -> str | None:
    """Return what this processor lacks for an engine that runs on it, in a sentence, or None."""
    if recipe.device == "gpu":
        return None
    for precision in _FAST:
        if precision in (recipe.multiplied_in, recipe.rest) and not has(precision, here):
            return (
                f"{here.cpu} has none of {', '.join(_FAST[precision])}: {precision} is emulated "
                "there, and slower than fp32 may be"
            )
    return None


def has(precision: str, here: Environment) -> bool:
    """Return whether a processor has fast instructions for int8, bf16 or fp16."""
    return bool(set(_FAST[precision]) & set(here.cpu_flags))
