"""NNCF: static INT8 as its defaults make it, to compare our own quantiser with."""

import contextlib
import io
import logging
from collections.abc import Iterable

import onnx

from jouleforge.converters.parity import Inputs
from jouleforge.errors import GateError, InputError
from jouleforge.telemetry import import_quietly

nncf = import_quietly("nncf")


def quantize(graph: onnx.ModelProto, rows: Iterable[Inputs]) -> onnx.ModelProto:
    """Return the graph with Q/DQ nodes where NNCF's defaults for transformers put them.

    These are the settings of NNCF's own guide: model type `TRANSFORMER` (which turns on its
    SmoothQuant) and preset `MIXED` (asymmetric activations, symmetric weights).

    Args:
        graph: Plain operators in float32; it is left as it is.
        rows: Calibration inputs, each int64 of shape (batch, sequence). All of them are used.

    Raises:
        InputError: There are no rows.
        GateError: NNCF cannot quantise the graph.
    """
    seen = list(rows)
    if not seen:
        raise InputError("NNCF needs calibration rows, and there are none")
    nncf.set_log_level(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
            quantized: onnx.ModelProto = nncf.quantize(
                graph,
                nncf.Dataset(seen),
                model_type=nncf.ModelType.TRANSFORMER,
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(seen),
            )
    # Its exceptions, and those of the runtime it calls, have no common base but Exception itself.
    except Exception as error:
        raise GateError(f"NNCF does not quantise the graph: {error}") from error
    return quantized
