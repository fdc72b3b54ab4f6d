"""Options of ONNX Runtime's sessions that converters and runners must agree on."""

from collections.abc import Mapping

from jouleforge.recipe import Recipe

# On the CPU, ONNX Runtime's SkipLayerNormalization takes three times as long as the two additions
# and the LayerNormalization it replaces (1.31, AVX-512: 17.8 against 5.3 ms in a pass of 220).
_CPU = {"optimization.disable_specified_optimizers": "SkipLayerNormFusion"}


def entries(recipe: Recipe) -> Mapping[str, str]:
    """Return the session's configuration entries for an engine of ours."""
    return {} if recipe.provider == "cuda" else _CPU
