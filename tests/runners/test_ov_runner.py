"""OvRunner against OpenVINO's Python interface, and what it says when something is wrong."""

import gc
import os
import shutil
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jouleforge._core import OvRunner, RunnerError, run_closed_loop
from jouleforge.runners import ov as runner_module

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
openvino = pytest.importorskip("openvino", reason="needs the package openvino")
opset = openvino.opset13

pytestmark = pytest.mark.openvino

VOCABULARY, WIDTH, LABELS = 50, 8, 3

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def library() -> Path:
    return runner_module.library()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Token ids [batch, length] and a float mask -> mean of embeddings -> logits, and a flag."""
    rng = np.random.default_rng(0)
    table = opset.constant(rng.standard_normal((VOCABULARY, WIDTH)).astype(np.float32))
    weight = opset.constant(rng.standard_normal((WIDTH, LABELS)).astype(np.float32))
    ids = opset.parameter([-1, -1], np.int64, name="ids")
    mask = opset.parameter([-1, -1], np.float32, name="mask")
    embedded = opset.gather(table, ids, np.int64(0))
    masked = opset.multiply(embedded, opset.unsqueeze(mask, np.int64(2)))
    logits = opset.matmul(opset.reduce_sum(masked, np.int64(1)), weight, False, False)
    positive = opset.greater(logits, np.float32(0))
    for node, name in ((ids, "ids"), (mask, "mask"), (logits, "logits"), (positive, "positive")):
        node.output(0).get_tensor().set_names({name})
    path = tmp_path_factory.mktemp("ov") / "model.xml"
    openvino.save_model(
        openvino.Model([logits, positive], [ids, mask], "classifier"), path, compress_to_fp16=False
    )
    return path


@pytest.fixture
def runner(library: Path, model: Path) -> OvRunner:
    return OvRunner(library, model, threads=1, precision="f32")


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
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled(given)
    return [found["logits"], found["positive"]]


def test_outputs_equal_those_of_the_python_interface(runner: OvRunner, model: Path) -> None:
    batches = [(inputs(4, 7), outputs(4)), (inputs(1, 30, seed=1), outputs(1))]
    runner.prepare(batches)
    trace = run_closed_loop(runner, order=[1, 0], warmup_s=0, duration_s=0, min_passes=2)
    assert len(trace.stamps_ns) == 5
    for given, written in batches:
        logits, positive = expected(model, given)
        np.testing.assert_allclose(written["logits"], logits, rtol=1e-6)
        np.testing.assert_array_equal(written["positive"], positive)


def test_answers_stay_right_over_many_shapes_and_passes(runner: OvRunner, model: Path) -> None:
    batches = [
        (inputs(rows, length, seed=length), outputs(rows))
        for rows in (1, 3)
        for length in range(1, 30)
    ]
    runner.prepare(batches)
    run_closed_loop(runner, order=range(len(batches)), warmup_s=0, duration_s=0, min_passes=2)
    wanted = [expected(model, given)[0] for given, _ in batches[::7]]
    for want, (_, written) in zip(wanted, batches[::7], strict=True):
        np.testing.assert_allclose(written["logits"], want, rtol=1e-6)


def test_specs_name_types_and_dynamic_axes(runner: OvRunner) -> None:
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.input_specs]
    assert found == [("ids", "int64", (-1, -1)), ("mask", "float32", (-1, -1))]
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.output_specs]
    assert found == [("logits", "float32", (-1, LABELS)), ("positive", "bool", (-1, LABELS))]


def test_version_is_that_of_the_wheel(runner: OvRunner) -> None:
    assert openvino.__version__.startswith(runner.version)
    assert runner.version.count(".") == 2


def test_choices_reach_the_compiled_model(library: Path, model: Path) -> None:
    runner = OvRunner(
        library, model, threads=2, precision="f32", config={"ENABLE_CPU_PINNING": "NO"}
    )
    assert runner.get_property("INFERENCE_NUM_THREADS") == "2"
    assert runner.get_property("INFERENCE_PRECISION_HINT") == "f32"
    assert runner.get_property("PERFORMANCE_HINT") == "LATENCY"
    assert runner.get_property("ENABLE_CPU_PINNING") == "NO"


def test_inputs_may_be_refilled_between_runs(runner: OvRunner, model: Path) -> None:
    given, written = inputs(2, 5), outputs(2)
    runner.prepare([(given, written)])
    runner.run(0)
    given["ids"][:] = inputs(2, 5, seed=9)["ids"]
    runner.run(0)
    np.testing.assert_allclose(written["logits"], expected(model, given)[0], rtol=1e-6)


def test_arrays_live_as_long_as_they_are_bound(runner: OvRunner) -> None:
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
        own = OvRunner(library, model, threads=1, precision="f32")
        own.prepare([batch])
        run_closed_loop(own, order=[0], warmup_s=0, duration_s=0, min_passes=20)

    threads = [threading.Thread(target=run, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for given, written in batches:
        np.testing.assert_allclose(written["logits"], expected(model, given)[0], rtol=1e-6)


def test_every_type_that_numpy_has_is_bound_as_it_lies(library: Path, tmp_path: Path) -> None:
    types = ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64",
             "uint8", "uint16", "uint32", "uint64")  # fmt: skip
    given = {f"x_{name}": np.arange(6).reshape(2, 3).astype(name) for name in types}
    parameters = []
    for name in types:
        parameter = opset.parameter([2, -1], np.dtype(name), name=f"x_{name}")
        parameter.output(0).get_tensor().set_names({f"x_{name}"})
        parameters.append(parameter)
    results = []
    for name, parameter in zip(types, parameters, strict=True):
        doubled = opset.concat([parameter, parameter], 1)
        doubled.output(0).get_tensor().set_names({f"y_{name}"})
        results.append(doubled)
    path = tmp_path / "types.xml"
    openvino.save_model(openvino.Model(results, parameters, "t"), path, compress_to_fp16=False)
    runner = OvRunner(library, path, threads=1, precision="f32")
    assert {spec.name: spec.dtype for spec in runner.input_specs} == {
        f"x_{name}": name for name in types
    }
    written = {f"y_{name}": np.zeros((2, 6), name) for name in types}
    runner.prepare([(given, written)])
    runner.run(0)
    for name in types:
        np.testing.assert_array_equal(written[f"y_{name}"], np.tile(given[f"x_{name}"], (1, 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.zeros((2, 5), np.int32)}, r"int64\[\?, \?\], found int32\[2, 5\]"),
        ({"ids": np.zeros(5, np.int64)}, r"found int64\[5\]"),
        ({"ids": np.zeros((5, 2), np.int64).T}, "'ids' is expected to be C-contiguous"),
        ({"extra": np.zeros(1)}, "the model has no 'extra'; expected ids, mask"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(runner: OvRunner, change: Arrays, message: str) -> None:
    with pytest.raises(ValueError, match="batch 0, inputs: .*" + message):
        runner.prepare([(inputs(2, 5) | change, outputs(2))])


def test_a_fixed_output_size_is_checked_when_prepared(runner: OvRunner) -> None:
    written = outputs(2) | {"logits": np.zeros((2, LABELS - 1), np.float32)}
    with pytest.raises(ValueError, match=r"float32\[\?, 3\], found float32\[2, 2\]"):
        runner.prepare([(inputs(2, 5), written)])


def test_a_refused_batch_leaves_the_prepared_ones(runner: OvRunner) -> None:
    runner.prepare([(inputs(2, 5), outputs(2))])
    with pytest.raises(ValueError, match="batch 1, inputs"):
        runner.prepare([(inputs(2, 5), outputs(2)), ({}, outputs(2))])
    assert runner.batches == 1
    runner.run(0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_buffer_of_another_size_is_an_error_every_time(
    library: Path, model: Path, rows: int, threads: int
) -> None:
    runner = OvRunner(library, model, threads=threads, precision="f32")
    runner.prepare([(inputs(2, 5), outputs(rows))])
    for _ in range(2):
        with pytest.raises(RunnerError, match="OpenVINO"):
            runner.run(0)
    with pytest.raises(RunnerError, match="OpenVINO"):
        run_closed_loop(runner, order=[0], warmup_s=0, duration_s=0, min_passes=1)


def test_inputs_that_contradict_each_other_are_an_error(runner: OvRunner) -> None:
    given = inputs(2, 5) | {"mask": np.ones((2, 4), np.float32)}
    runner.prepare([(given, outputs(2))])
    with pytest.raises(RunnerError, match="OpenVINO"):
        runner.run(0)


def test_a_batch_that_was_not_prepared_is_an_index_error(runner: OvRunner) -> None:
    with pytest.raises(IndexError, match="no batch 0: the runner holds 0"):
        runner.run(0)


def test_a_missing_library_is_one_clear_error(model: Path) -> None:
    with pytest.raises(RunnerError, match=r"cannot load OpenVINO: /nowhere/lib\.so: .*No such"):
        OvRunner("/nowhere/lib.so", model, threads=1, precision="f32")


def test_another_library_is_one_clear_error(model: Path) -> None:
    with pytest.raises(RunnerError, match=r"libm\.so\.6 is not OpenVINO 2025 or newer: .*ov_free"):
        OvRunner("libm.so.6", model, threads=1, precision="f32")


def test_a_missing_model_is_one_clear_error(library: Path) -> None:
    with pytest.raises(RunnerError, match=r"cannot load /nowhere\.xml: .*[Cc]ould not open"):
        OvRunner(library, "/nowhere.xml", threads=1, precision="f32")


def test_a_corrupt_model_is_one_clear_error(library: Path, model: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.xml"
    corrupt.write_bytes(model.read_bytes()[:-200] + os.urandom(100))
    shutil.copy(model.with_suffix(".bin"), corrupt.with_suffix(".bin"))
    with pytest.raises(RunnerError, match=r"cannot load .*corrupt\.xml: .*OpenVINO"):
        OvRunner(library, corrupt, threads=1, precision="f32")


def test_weights_that_were_cut_are_one_clear_error(
    library: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copy(model, tmp_path / "cut.xml")
    (tmp_path / "cut.bin").write_bytes(model.with_suffix(".bin").read_bytes()[:-100])
    with pytest.raises(RunnerError, match=r"cannot load .*cut\.xml: .*OpenVINO"):
        OvRunner(library, tmp_path / "cut.xml", threads=1, precision="f32")


def test_a_property_that_is_not_known_is_refused(library: Path, model: Path) -> None:
    with pytest.raises(RunnerError, match="NO_SUCH"):
        OvRunner(library, model, threads=1, precision="f32", config={"NO_SUCH": "1"})


def test_more_threads_than_there_are_cores_are_refused(library: Path, model: Path) -> None:
    with pytest.raises(RunnerError, match=r"asked for 9999 threads, OpenVINO .* would use"):
        OvRunner(library, model, threads=9999, precision="f32")


def test_threads_below_one_are_refused(library: Path, model: Path) -> None:
    with pytest.raises(ValueError, match="threads of at least 1, found 0"):
        OvRunner(library, model, threads=0, precision="f32")
