"""One small classifier for every runner that calls a runtime's C interface, and what it answers."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jouleforge._core import OrtRunner, OvRunner

VOCABULARY, WIDTH, LABELS = 50, 8, 3

Arrays = dict[str, NDArray[Any]]
Runner = OrtRunner | OvRunner


@dataclass(frozen=True, slots=True)
class Native:
    """A runner, its runtime's library, and the classifier in the runtime's own format."""

    runtime: str
    """What messages call it."""
    library: Path
    model: Path
    open: Callable[..., Any]
    """Makes the runner of a library, a model and `threads`."""
    expected: Callable[[Arrays], list[NDArray[Any]]]
    """The answers of the runtime's Python interface."""
    axes: tuple[str | int, str | int]
    """The dynamic axes of the inputs, by name where the runtime keeps names."""
    of_stranger: str
    """What a library that is another's is said not to be."""
    of_absent: str
    """What the runtime says of a model that is not there."""

    def runner(self, *, threads: int = 1) -> Runner:
        made: Runner = self.open(self.library, self.model, threads=threads)
        return made


def inputs(rows: int, length: int, *, seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "ids": rng.integers(0, VOCABULARY, (rows, length)),
        "mask": rng.integers(0, 2, (rows, length)).astype(np.float32),
    }


def outputs(rows: int) -> Arrays:
    return {
        "logits": np.full((rows, LABELS), np.nan, np.float32),
        "positive": np.zeros((rows, LABELS), np.bool_),
    }


def shown(dtype: str, *shape: str | int) -> str:
    """What messages show of a tensor."""
    return f"{dtype}[{', '.join('?' if size == -1 else str(size) for size in shape)}]"


def weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32),
        rng.standard_normal((WIDTH, LABELS)).astype(np.float32),
    )


def ort(folder: Path) -> Native:
    """Token ids [batch, length] and a float mask -> sum of embeddings -> logits, and a flag."""
    onnx = pytest.importorskip("onnx", reason="needs the package onnx to write its model")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    helper, types = onnx.helper, onnx.TensorProto
    constants = {"axes": np.array([1]), "last": np.array([2]), "zero": np.float32(0)}
    constants["table"], constants["weight"] = weights()
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"]),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["embedded", "mask3"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axes"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weight"], ["logits"]),
        helper.make_node("Greater", ["logits", "zero"], ["positive"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [
            helper.make_tensor_value_info("ids", types.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("mask", types.FLOAT, ["batch", "length"]),
        ],
        [
            helper.make_tensor_value_info("logits", types.FLOAT, ["batch", LABELS]),
            helper.make_tensor_value_info("positive", types.BOOL, ["batch", LABELS]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "model.onnx"
    onnx.save(made, path)

    def expected(given: Arrays) -> list[NDArray[Any]]:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found: list[NDArray[Any]] = session.run(["logits", "positive"], given)
        return found

    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
    return Native("ONNX Runtime", library, path, OrtRunner, expected, ("batch", "length"),
                  of_stranger="ONNX Runtime", of_absent="doesn't exist")  # fmt: skip


def ov(folder: Path) -> Native:
    """The same graph as OpenVINO's own format has it."""
    from jouleforge.runners import ov as runner_module

    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = pytest.importorskip("openvino", reason="needs the package openvino")
    opset = openvino.opset13
    table, weight = (opset.constant(value) for value in weights())
    ids = opset.parameter([-1, -1], np.int64, name="ids")
    mask = opset.parameter([-1, -1], np.float32, name="mask")
    embedded = opset.gather(table, ids, np.int64(0))
    masked = opset.multiply(embedded, opset.unsqueeze(mask, np.int64(2)))
    logits = opset.matmul(opset.reduce_sum(masked, np.int64(1)), weight, False, False)
    positive = opset.greater(logits, np.float32(0))
    for node, name in ((ids, "ids"), (mask, "mask"), (logits, "logits"), (positive, "positive")):
        node.output(0).get_tensor().set_names({name})
    path = folder / "model.xml"
    openvino.save_model(
        openvino.Model([logits, positive], [ids, mask], "classifier"), path, compress_to_fp16=False
    )

    def expected(given: Arrays) -> list[NDArray[Any]]:
        compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = compiled(given)
        return [found["logits"], found["positive"]]

    return Native("OpenVINO", runner_module.library(), path, partial(OvRunner, precision="f32"),
                  expected, (-1, -1), of_stranger=r"OpenVINO 2025 or newer: .*ov_free",
                  of_absent="[Cc]ould not open")  # fmt: skip
