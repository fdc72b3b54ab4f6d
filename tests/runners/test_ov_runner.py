"""What OvRunner has of its own: properties, types, and OpenVINO's way to fail."""

import shutil
import sys
from pathlib import Path

import native as natives
import numpy as np
import pytest
from native import Native, Runner, inputs, outputs

from jouleforge._core import OvRunner, RunnerError, run_closed_loop

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
openvino = pytest.importorskip("openvino", reason="needs the package openvino")
opset = openvino.opset13

pytestmark = pytest.mark.openvino


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    return natives.ov(tmp_path_factory.mktemp("ov"))


@pytest.fixture
def runner(native: Native) -> Runner:
    return native.runner()


def test_answers_stay_right_over_many_shapes_and_passes(runner: Runner, native: Native) -> None:
    batches = [
        (inputs(rows, length, seed=length), outputs(rows))
        for rows in (1, 3)
        for length in range(1, 30)
    ]
    runner.prepare(batches)
    run_closed_loop(runner, order=range(len(batches)), warmup_s=0, duration_s=0, min_passes=2)
    wanted = [native.expected(given)[0] for given, _ in batches[::7]]
    for want, (_, written) in zip(wanted, batches[::7], strict=True):
        np.testing.assert_allclose(written["logits"], want, rtol=1e-6)


def test_version_is_that_of_the_wheel(runner: Runner) -> None:
    assert openvino.__version__.startswith(runner.version)
    assert runner.version.count(".") == 2


def test_choices_reach_the_compiled_model(native: Native) -> None:
    runner = OvRunner(
        native.library,
        native.model,
        threads=2,
        precision="f32",
        config={"ENABLE_CPU_PINNING": "NO"},
    )
    assert runner.get_property("INFERENCE_NUM_THREADS") == "2"
    assert runner.get_property("INFERENCE_PRECISION_HINT") == "f32"
    assert runner.get_property("PERFORMANCE_HINT") == "LATENCY"
    assert runner.get_property("ENABLE_CPU_PINNING") == "NO"


def test_every_type_that_numpy_has_is_bound_as_it_lies(native: Native, tmp_path: Path) -> None:
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
    runner = OvRunner(native.library, path, threads=1, precision="f32")
    assert {spec.name: spec.dtype for spec in runner.input_specs} == {
        f"x_{name}": name for name in types
    }
    written = {f"y_{name}": np.zeros((2, 6), name) for name in types}
    runner.prepare([(given, written)])
    runner.run(0)
    for name in types:
        np.testing.assert_array_equal(written[f"y_{name}"], np.tile(given[f"x_{name}"], (1, 2)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_buffer_of_another_size_is_an_error_every_time(
    native: Native, rows: int, threads: int
) -> None:
    runner = OvRunner(native.library, native.model, threads=threads, precision="f32")
    runner.prepare([(inputs(2, 5), outputs(rows))])
    for _ in range(2):
        with pytest.raises(RunnerError, match="OpenVINO"):
            runner.run(0)
    with pytest.raises(RunnerError, match="OpenVINO"):
        run_closed_loop(runner, order=[0], warmup_s=0, duration_s=0, min_passes=1)


def test_inputs_that_contradict_each_other_are_an_error(runner: Runner) -> None:
    given = inputs(2, 5) | {"mask": np.ones((2, 4), np.float32)}
    runner.prepare([(given, outputs(2))])
    with pytest.raises(RunnerError, match="OpenVINO"):
        runner.run(0)


def test_weights_that_were_cut_are_one_clear_error(native: Native, tmp_path: Path) -> None:
    shutil.copy(native.model, tmp_path / "cut.xml")
    (tmp_path / "cut.bin").write_bytes(native.model.with_suffix(".bin").read_bytes()[:-100])
    with pytest.raises(RunnerError, match=r"cannot load .*cut\.xml: .*OpenVINO"):
        OvRunner(native.library, tmp_path / "cut.xml", threads=1, precision="f32")


def test_a_property_that_is_not_known_is_refused(native: Native) -> None:
    with pytest.raises(RunnerError, match="NO_SUCH"):
        OvRunner(native.library, native.model, threads=1, precision="f32", config={"NO_SUCH": "1"})


def test_more_threads_than_there_are_cores_are_refused(native: Native) -> None:
    with pytest.raises(RunnerError, match=r"asked for 9999 threads, OpenVINO .* would use"):
        OvRunner(native.library, native.model, threads=9999, precision="f32")
