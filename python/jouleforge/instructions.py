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
    if recipe.target == "trt" or recipe.provider == "cuda":
        return None
    wanted = {"int8" if recipe.precision == "int8-dynamic" else recipe.precision, recipe.rest}
    for precision, any_of in _FAST.items():
        if precision in wanted and not set(any_of) & set(here.cpu_flags):
            return (
                f"{here.cpu} has none of {', '.join(any_of)}: {precision} is emulated there, and "
                "slower than fp32 may be"
            )
    return None


def lacks_int8(recipe: Recipe, here: Environment) -> bool:
    """Return whether an INT8 engine meets a processor without INT8 dot products."""
    return "int8" in recipe.precision and not set(_FAST["int8"]) & set(here.cpu_flags)
