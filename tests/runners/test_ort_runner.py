"""What OrtRunner has of its own: providers, options, and ONNX Runtime's way to fail."""

import sys
import threading
from pathlib import Path

import native as natives
import numpy as np
import pytest
from native import VOCABULARY, Native, Runner, inputs, outputs

from jouleforge._core import OrtRunner, RunnerError, run_closed_loop

onnx = pytest.importorskip("onnx", reason="needs the package onnx to write its model")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    return natives.ort(tmp_path_factory.mktemp("ort"))


@pytest.fixture
def runner(native: Native) -> Runner:
    return native.runner()


def test_version_is_that_of_the_wheel(runner: Runner) -> None:
    assert runner.version == onnxruntime.__version__


def test_runners_may_be_made_and_dropped_in_several_threads(native: Native) -> None:
    """So often that threads meet while one enters its runner among all objects, or takes the last
    one out and with it the runtime's environment."""
    failures: list[RunnerError] = []

    def make_and_drop() -> None:
        try:
            for _ in range(2000):
                native.runner()
        except RunnerError as error:
            failures.append(error)

    threads = [threading.Thread(target=make_and_drop) for _ in range(4)]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert not failures


def test_float16_tensors_are_bound_as_they_lie(native: Native, tmp_path: Path) -> None:
    helper, half = onnx.helper, onnx.TensorProto.FLOAT16
    graph = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["y"])],
        "abs",
        [helper.make_tensor_value_info("x", half, [2, None])],
        [helper.make_tensor_value_info("y", half, [2, None])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "half.onnx")
    runner = OrtRunner(native.library, tmp_path / "half.onnx", threads=1)
    assert runner.input_specs[0].shape == (2, -1)
    x = np.array([[-1.5, 2], [3, -4]], np.float16)
    y = np.zeros_like(x)
    runner.prepare([({"x": x}, {"y": y})])
    runner.run(0)
    np.testing.assert_array_equal(y, abs(x))


@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_buffer_of_another_size_is_an_error_and_is_not_written(
    runner: Runner, rows: int
) -> None:
    written = outputs(rows)
    runner.prepare([(inputs(2, 5), written)])
    with pytest.raises(RunnerError, match=r"logits.*ONNX Runtime"):
        runner.run(0)
    with pytest.raises(RunnerError, match="logits"):
        run_closed_loop(runner, order=[0], warmup_s=0, duration_s=0, min_passes=1)
    assert np.isnan(written["logits"]).all()


def test_an_id_outside_the_vocabulary_is_an_error(runner: Runner) -> None:
    given = inputs(2, 5)
    given["ids"][0, 0] = VOCABULARY
    runner.prepare([(given, outputs(2))])
    with pytest.raises(RunnerError, match="indices element out of data bounds"):
        runner.run(0)


def test_an_unknown_provider_is_named_with_those_there_are(native: Native) -> None:
    with pytest.raises(RunnerError, match=r"provider FooExecutionProvider: .*CPUExecutionProvider"):
        OrtRunner(native.library, native.model, threads=1, providers=[("FooExecutionProvider", {})])


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="this onnxruntime was built with CUDA",
)
def test_a_provider_the_build_lacks_is_one_clear_error(native: Native) -> None:
    with pytest.raises(RunnerError, match=r"CUDAExecutionProvider.*not enabled in this build"):
        OrtRunner(
            native.library, native.model, threads=1, providers=[("CUDAExecutionProvider", {})]
        )


def test_configuration_reaches_the_session(native: Native) -> None:
    good = {"session.intra_op.allow_spinning": "0"}
    OrtRunner(
        native.library,
        native.model,
        threads=2,
        config=good,
        providers=[("CPUExecutionProvider", {})],
    )
    bad = {"session.intra_op_thread_affinities": "nonsense"}
    with pytest.raises(RunnerError, match="Processor id must consist of only digits: nonsense"):
        OrtRunner(native.library, native.model, threads=2, config=bad)


def test_an_impossible_optimization_level_is_refused(native: Native) -> None:
    with pytest.raises(RunnerError, match="graph_optimization_level is not valid"):
        OrtRunner(native.library, native.model, threads=1, optimization_level=7)
