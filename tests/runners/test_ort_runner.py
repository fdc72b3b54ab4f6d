"""OrtRunner against onnxruntime's Python interface, and what it says when something is wrong."""

import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jouleforge._core import OrtRunner, RunnerError, run_closed_loop

onnx = pytest.importorskip("onnx", reason="needs the package onnx to write its model")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

VOCABULARY, WIDTH, LABELS = 50, 8, 3

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def library() -> Path:
    (found,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Token ids [batch, length] and a float mask -> mean of embeddings -> logits, and a flag."""
    helper, types = onnx.helper, onnx.TensorProto
    rng = np.random.default_rng(0)
    table = onnx.numpy_helper.from_array(
        rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32), "table"
    )
    weight = onnx.numpy_helper.from_array(
        rng.standard_normal((WIDTH, LABELS)).astype(np.float32), "weight"
    )
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    last = onnx.numpy_helper.from_array(np.array([2]), "last")
    zero = onnx.numpy_helper.from_array(np.float32(0), "zero")
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
        [table, weight, axes, last, zero],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("ort") / "model.onnx"
    onnx.save(made, path)
    return path


@pytest.fixture
def runner(library: Path, model: Path) -> OrtRunner:
    return OrtRunner(library, model, threads=1)


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


def expected(model: Path, given: Arrays) -> list[NDArray[Any]]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(["logits", "positive"], given)
    return found


def test_outputs_equal_those_of_the_python_interface(runner: OrtRunner, model: Path) -> None:
    batches = [(inputs(4, 7), outputs(4)), (inputs(1, 30, seed=1), outputs(1))]
    runner.prepare(batches)
    trace = run_closed_loop(runner, order=[1, 0], warmup_s=0, duration_s=0, min_passes=2)
    assert len(trace.stamps_ns) == 5
    for given, written in batches:
        logits, positive = expected(model, given)
        np.testing.assert_allclose(written["logits"], logits, rtol=1e-6)
        np.testing.assert_array_equal(written["positive"], positive)


def test_specs_name_types_and_dynamic_axes(runner: OrtRunner) -> None:
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.input_specs]
    assert found == [
        ("ids", "int64", ("batch", "length")),
        ("mask", "float32", ("batch", "length")),
    ]
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.output_specs]
    assert found == [
        ("logits", "float32", ("batch", LABELS)),
        ("positive", "bool", ("batch", LABELS)),
    ]


def test_version_is_that_of_the_wheel(runner: OrtRunner) -> None:
    assert runner.version == onnxruntime.__version__


def test_inputs_may_be_refilled_between_runs(runner: OrtRunner, model: Path) -> None:
    given, written = inputs(2, 5), outputs(2)
    runner.prepare([(given, written)])
    runner.run(0)
    given["ids"][:] = inputs(2, 5, seed=9)["ids"]
    runner.run(0)
    np.testing.assert_allclose(written["logits"], expected(model, given)[0], rtol=1e-6)


def test_arrays_live_as_long_as_they_are_bound(runner: OrtRunner) -> None:
    given, written = inputs(2, 5), outputs(2)
    bound = weakref.ref(given["ids"])
    runner.prepare([(given, written)])
    del given
    gc.collect()
    assert bound() is not None
    runner.run(0)
    runner.prepare([])
    gc.collect()
    assert bound() is None


def test_runners_side_by_side_do_not_disturb_each_other(library: Path, model: Path) -> None:
    batches = [(inputs(3, 9, seed=seed), outputs(3)) for seed in range(3)]

    def run(batch: tuple[Arrays, Arrays]) -> None:
        own = OrtRunner(library, model, threads=1)
        own.prepare([batch])
        run_closed_loop(own, order=[0], warmup_s=0, duration_s=0, min_passes=20)

    threads = [threading.Thread(target=run, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for given, written in batches:
        np.testing.assert_allclose(written["logits"], expected(model, given)[0], rtol=1e-6)


def test_float16_tensors_are_bound_as_they_lie(library: Path, tmp_path: Path) -> None:
    helper, half = onnx.helper, onnx.TensorProto.FLOAT16
    graph = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["y"])],
        "abs",
        [helper.make_tensor_value_info("x", half, [2, None])],
        [helper.make_tensor_value_info("y", half, [2, None])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "half.onnx")
    runner = OrtRunner(library, tmp_path / "half.onnx", threads=1)
    assert runner.input_specs[0].shape == (2, -1)
    x = np.array([[-1.5, 2], [3, -4]], np.float16)
    y = np.zeros_like(x)
    runner.prepare([({"x": x}, {"y": y})])
    runner.run(0)
    np.testing.assert_array_equal(y, abs(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.zeros((2, 5), np.int32)}, r"int64\[batch, length\], found int32\[2, 5\]"),
        ({"ids": np.zeros(5, np.int64)}, r"found int64\[5\]"),
        ({"ids": np.zeros((5, 2), np.int64).T}, "'ids' is expected to be C-contiguous"),
        ({"ids": np.zeros((2, 5), ">i8")}, "byte order"),
        ({"extra": np.zeros(1)}, "the model has no 'extra'; expected ids, mask"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    runner: OrtRunner, change: Arrays, message: str
) -> None:
    with pytest.raises(ValueError, match="batch 0, inputs: .*" + message):
        runner.prepare([(inputs(2, 5) | change, outputs(2))])


def test_a_missing_input_is_named_with_what_was_found(runner: OrtRunner) -> None:
    given = inputs(2, 5)
    del given["mask"]
    with pytest.raises(ValueError, match="no array for 'mask'; expected ids, mask; found ids"):
        runner.prepare([(given, outputs(2))])


def test_a_list_is_no_array(runner: OrtRunner) -> None:
    given: Any = inputs(2, 5) | {"ids": [[1, 2]]}
    with pytest.raises(TypeError, match=r"'ids' is expected to be a numpy array, found .*list"):
        runner.prepare([(given, outputs(2))])


def test_a_fixed_output_size_is_checked_when_prepared(runner: OrtRunner) -> None:
    written = outputs(2) | {"logits": np.zeros((2, LABELS - 1), np.float32)}
    with pytest.raises(ValueError, match=r"float32\[batch, 3\], found float32\[2, 2\]"):
        runner.prepare([(inputs(2, 5), written)])


def test_a_read_only_output_is_refused(runner: OrtRunner) -> None:
    written = outputs(2)
    written["logits"].flags.writeable = False
    with pytest.raises(ValueError, match="'logits' is expected to be writable"):
        runner.prepare([(inputs(2, 5), written)])


def test_a_refused_batch_leaves_the_prepared_ones(runner: OrtRunner) -> None:
    runner.prepare([(inputs(2, 5), outputs(2))])
    with pytest.raises(ValueError, match="batch 1, inputs"):
        runner.prepare([(inputs(2, 5), outputs(2)), ({}, outputs(2))])
    assert runner.batches == 1
    runner.run(0)


@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_buffer_of_another_size_is_an_error_and_is_not_written(
    runner: OrtRunner, rows: int
) -> None:
    written = outputs(rows)
    runner.prepare([(inputs(2, 5), written)])
    with pytest.raises(RunnerError, match=r"logits.*ONNX Runtime"):
        runner.run(0)
    with pytest.raises(RunnerError, match="logits"):
        run_closed_loop(runner, order=[0], warmup_s=0, duration_s=0, min_passes=1)
    assert np.isnan(written["logits"]).all()


def test_an_id_outside_the_vocabulary_is_an_error(runner: OrtRunner) -> None:
    given = inputs(2, 5)
    given["ids"][0, 0] = VOCABULARY
    runner.prepare([(given, outputs(2))])
    with pytest.raises(RunnerError, match="indices element out of data bounds"):
        runner.run(0)


def test_a_batch_that_was_not_prepared_is_an_index_error(runner: OrtRunner) -> None:
    with pytest.raises(IndexError, match="no batch 0: the runner holds 0"):
        runner.run(0)


def test_a_missing_library_is_one_clear_error(model: Path) -> None:
    with pytest.raises(RunnerError, match=r"cannot load ONNX Runtime: /nowhere/lib\.so: .*No such"):
        OrtRunner("/nowhere/lib.so", model, threads=1)


def test_another_library_is_one_clear_error(model: Path) -> None:
    with pytest.raises(RunnerError, match=r"libm\.so\.6 is not ONNX Runtime"):
        OrtRunner("libm.so.6", model, threads=1)


def test_a_missing_model_is_one_clear_error(library: Path) -> None:
    with pytest.raises(RunnerError, match=r"cannot load /nowhere\.onnx: .*doesn't exist"):
        OrtRunner(library, "/nowhere.onnx", threads=1)


def test_a_corrupt_model_is_one_clear_error(library: Path, model: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.onnx"
    corrupt.write_bytes(model.read_bytes()[:-200] + os.urandom(100))
    with pytest.raises(RunnerError, match=r"cannot load .*corrupt\.onnx"):
        OrtRunner(library, corrupt, threads=1)


def test_an_unknown_provider_is_named_with_those_there_are(library: Path, model: Path) -> None:
    with pytest.raises(RunnerError, match=r"provider FooExecutionProvider: .*CPUExecutionProvider"):
        OrtRunner(library, model, threads=1, providers=[("FooExecutionProvider", {})])


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime was built with CUDA",
)
def test_a_provider_the_build_lacks_is_one_clear_error(library: Path, model: Path) -> None:
    with pytest.raises(RunnerError, match=r"CUDAExecutionProvider.*not enabled in this build"):
        OrtRunner(library, model, threads=1, providers=[("CUDAExecutionProvider", {})])


def test_configuration_reaches_the_session(library: Path, model: Path) -> None:
    good = {"session.intra_op.allow_spinning": "0"}
    OrtRunner(library, model, threads=2, config=good, providers=[("CPUExecutionProvider", {})])
    bad = {"session.intra_op_thread_affinities": "nonsense"}
    with pytest.raises(RunnerError, match="Processor id must consist of only digits: nonsense"):
        OrtRunner(library, model, threads=2, config=bad)


def test_an_impossible_optimization_level_is_refused(library: Path, model: Path) -> None:
    with pytest.raises(RunnerError, match="graph_optimization_level is not valid"):
        OrtRunner(library, model, threads=1, optimization_level=7)


def test_threads_below_one_are_refused(library: Path, model: Path) -> None:
    with pytest.raises(ValueError, match="threads of at least 1, found 0"):
        OrtRunner(library, model, threads=0)
