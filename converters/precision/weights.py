"""INT8 weights: symmetric, one scale per output channel."""

import numpy as np
from numpy.typing import NDArray


def quantize_weight(weight: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a weight of shape (in, out) as INT8, and the scale of each output channel.

    Symmetric: zero is exact, and the range is ±127, so that the negation of a weight is a weight.
    """
    bound = np.abs(weight).max(axis=0).astype(np.float32)
    scale = np.where(bound > 0, bound / 127, 1.0).astype(np.float32)
    quantized = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return quantized, scale
