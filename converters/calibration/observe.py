"""Observation: the float32 graph runs over the calibration rows, and every tensor is watched."""

from collections.abc import Iterable

import numpy as np
import onnx

from jouleforge.converters import interpreter
from jouleforge.converters.calibration.statistics import TensorStatistics
from jouleforge.converters.parity import Inputs
from jouleforge.errors import GateError


def observe(
    graph: onnx.ModelProto, tensors: list[str], batches: Iterable[Inputs]
) -> dict[str, TensorStatistics]:
    """Return the statistics of some tensors over batches without padding.

    Memory is that of the graph, of one batch's activations and of the histograms, however many rows
    there are.

    Raises:
        GateError: A tensor holds NaN or infinity on some row; names the first one in the graph.
    """
    run = interpreter.watch(graph, tensors)
    found = {name: TensorStatistics() for name in tensors}
    for batch in batches:
        for name, values in zip(tensors, run(batch), strict=True):
            if not np.isfinite(values).all():
                raise GateError(
                    f"calibration failed: {name} holds NaN or infinity on rows of "
                    f"{batch['input_ids'].shape[1]} tokens; is the checkpoint sound?"
                )
            found[name].update(values)
    return found
