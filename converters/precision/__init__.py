"""Precision: ONNX to ONNX. Targets compile what is written here and choose nothing themselves.

* `to_float`: the whole graph in float16 or bfloat16, but for what needs float32;
* `quantize_dynamic`: INT8 with activations quantised at run time, in ONNX Runtime's operators;
* `quantize_static`: Q/DQ nodes with calibrated ranges, in the profile a runtime is fast with.
"""

from jouleforge.converters.precision.dynamic import quantize_dynamic
from jouleforge.converters.precision.floats import to_float
from jouleforge.converters.precision.qdq import Profile, Range, quantize_static
from jouleforge.converters.precision.weights import quantize_weight

__all__ = [
    "Profile",
    "Range",
    "quantize_dynamic",
    "quantize_static",
    "quantize_weight",
    "to_float",
]
