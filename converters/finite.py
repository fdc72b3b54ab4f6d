"""Finite values: weights that are numbers, and no overflow where a precision has a narrow range."""

from collections.abc import Iterable

import numpy as np
import onnx
from transformers import PreTrainedModel

from jouleforge.converters import interpreter
from jouleforge.converters.parity import Inputs
from jouleforge.errors import GateError, InputError


def require_finite_weights(model: PreTrainedModel, name: str) -> None:
    """Do nothing if every weight is a number.

    Raises:
        InputError: One is NaN or infinite; names the first such tensor.
    """
    for key, parameter in model.named_parameters():
        # One that is not finite makes the sum so; the sum of large weights may be infinite too.
        if not parameter.sum().isfinite() and not parameter.isfinite().all():
            raise InputError(
                f"{name}: the weight {key} holds NaN or infinity; the training diverged, or the "
                "file is damaged. Use another checkpoint of that run"
            )


def require_no_overflow(graph: onnx.ModelProto, batches: Iterable[Inputs]) -> None:
    """Run a float16 graph as it is written, and do nothing if every value stays finite.

    Each tensor is stored in its own type, so that an overflow shows even where the processor
    computes in float32. (bfloat16 has float32's range and cannot overflow where that does not.)

    Raises:
        GateError: A value is NaN or infinite; names the first node that gave it.
    """
    outputs = [
        (node.name, name)
        for node in graph.graph.node
        for name in node.output
        if name and node.op_type not in ("Shape", "Concat")
    ]
    typed = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    watched = [
        (node, name) for node, name in outputs if typed.get(name) == onnx.TensorProto.FLOAT16
    ]
    run = interpreter.watch(graph, [name for _, name in watched])
    for inputs in batches:
        for (node, _), values in zip(watched, run(inputs), strict=True):
            if not np.isfinite(values).all():
                raise GateError(
                    f"fp16 overflows at {node} on rows of {inputs['input_ids'].shape[1]} tokens "
                    "(float16 ends at 65504); use bf16, or fp32. No engine was written."
                )
