"""What every runner of a C interface must do: right answers in our arrays, and clear errors."""

import gc
import os
import re
import shutil
import threading
import weakref
from pathlib import Path
from typing import Any

import native as natives
import numpy as np
import pytest
from native import LABELS, Arrays, Native, Runner, inputs, outputs, shown

from jouleforge._core import RunnerError, run_closed_loop


@pytest.fixture(scope="module", params=["ort", pytest.param("ov", marks=pytest.mark.openvino)])
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Native:
    made: Native = getattr(natives, request.param)(tmp_path_factory.mktemp(request.param))
    return made


@pytest.fixture
def runner(native: Native) -> Runner:
    return native.runner()


def test_outputs_equal_those_of_the_python_interface(runner: Runner, native: Native) -> None:
    batches = [(inputs(4, 7), outputs(4)), (inputs(1, 30, seed=1), outputs(1))]
    runner.prepare(batches)
    trace = run_closed_loop(runner, order=[1, 0], warmup_s=0, duration_s=0, min_passes=2)
    assert len(trace.stamps_ns) == 5
    for given, written in batches:
        logits, positive = native.expected(given)
        np.testing.assert_allclose(written["logits"], logits, rtol=1e-6)
        np.testing.assert_array_equal(written["positive"], positive)


def test_specs_name_types_and_dynamic_axes(runner: Runner, native: Native) -> None:
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.input_specs]
    assert found == [("ids", "int64", native.axes), ("mask", "float32", native.axes)]
    found = [(spec.name, spec.dtype, spec.shape) for spec in runner.output_specs]
    rows = native.axes[0]
    assert found == [("logits", "float32", (rows, LABELS)), ("positive", "bool", (rows, LABELS))]


def test_inputs_may_be_refilled_between_runs(runner: Runner, native: Native) -> None:
    given, written = inputs(2, 5), outputs(2)
    runner.prepare([(given, written)])
    runner.run(0)
    given["ids"][:] = inputs(2, 5, seed=9)["ids"]
    runner.run(0)
    np.testing.assert_allclose(written["logits"], native.expected(given)[0], rtol=1e-6)


def test_arrays_live_as_long_as_they_are_bound(runner: Runner) -> None:
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


def test_runners_side_by_side_do_not_disturb_each_other(native: Native) -> None:
    batches = [(inputs(3, 9, seed=seed), outputs(3)) for seed in range(3)]

    def run(batch: tuple[Arrays, Arrays]) -> None:
        own = native.runner()
        own.prepare([batch])
        run_closed_loop(own, order=[0], warmup_s=0, duration_s=0, min_passes=20)

    threads = [threading.Thread(target=run, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for given, written in batches:
        np.testing.assert_allclose(written["logits"], native.expected(given)[0], rtol=1e-6)


def test_inputs_of_another_type_are_refused(runner: Runner, native: Native) -> None:
    given = inputs(2, 5) | {"ids": np.zeros((2, 5), np.int32)}
    wanted = re.escape(f"{shown('int64', *native.axes)}, found int32[2, 5]")
    with pytest.raises(ValueError, match="batch 0, inputs: .*" + wanted):
        runner.prepare([(given, outputs(2))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.zeros(5, np.int64)}, r"found int64\[5\]"),
        ({"ids": np.zeros((5, 2), np.int64).T}, "'ids' is expected to be C-contiguous"),
        ({"ids": np.zeros((2, 5), ">i8")}, "byte order"),
        ({"extra": np.zeros(1)}, "the model has no 'extra'; expected ids, mask"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(runner: Runner, change: Arrays, message: str) -> None:
    with pytest.raises(ValueError, match="batch 0, inputs: .*" + message):
        runner.prepare([(inputs(2, 5) | change, outputs(2))])


def test_a_missing_input_is_named_with_what_was_found(runner: Runner) -> None:
    given = inputs(2, 5)
    del given["mask"]
    with pytest.raises(ValueError, match="no array for 'mask'; expected ids, mask; found ids"):
        runner.prepare([(given, outputs(2))])


def test_a_list_is_no_array(runner: Runner) -> None:
    given: Any = inputs(2, 5) | {"ids": [[1, 2]]}
    with pytest.raises(TypeError, match=r"'ids' is expected to be a numpy array, found .*list"):
        runner.prepare([(given, outputs(2))])


def test_a_fixed_output_size_is_checked_when_prepared(runner: Runner, native: Native) -> None:
    written = outputs(2) | {"logits": np.zeros((2, LABELS - 1), np.float32)}
    wanted = shown("float32", native.axes[0], LABELS)
    with pytest.raises(ValueError, match=re.escape(f"{wanted}, found float32[2, 2]")):
        runner.prepare([(inputs(2, 5), written)])


def test_a_read_only_output_is_refused(runner: Runner) -> None:
    written = outputs(2)
    written["logits"].flags.writeable = False
    with pytest.raises(ValueError, match="'logits' is expected to be writable"):
        runner.prepare([(inputs(2, 5), written)])


def test_a_refused_batch_leaves_the_prepared_ones(runner: Runner) -> None:
    runner.prepare([(inputs(2, 5), outputs(2))])
    with pytest.raises(ValueError, match="batch 1, inputs"):
        runner.prepare([(inputs(2, 5), outputs(2)), ({}, outputs(2))])
    assert runner.batches == 1
    runner.run(0)


def test_a_batch_that_was_not_prepared_is_an_index_error(runner: Runner) -> None:
    with pytest.raises(IndexError, match="no batch 0: the runner holds 0"):
        runner.run(0)


def test_a_missing_library_is_one_clear_error(native: Native) -> None:
    said = rf"cannot load {native.runtime}: /nowhere/lib\.so: .*No such"
    with pytest.raises(RunnerError, match=said):
        native.open("/nowhere/lib.so", native.model, threads=1)


def test_another_library_is_one_clear_error(native: Native) -> None:
    with pytest.raises(RunnerError, match=rf"libm\.so\.6 is not {native.of_stranger}"):
        native.open("libm.so.6", native.model, threads=1)


def test_a_missing_model_is_one_clear_error(native: Native) -> None:
    absent = f"/nowhere{native.model.suffix}"
    with pytest.raises(RunnerError, match=f"cannot load {re.escape(absent)}: .*{native.of_absent}"):
        native.open(native.library, absent, threads=1)


def test_a_corrupt_model_is_one_clear_error(native: Native, tmp_path: Path) -> None:
    corrupt = shutil.copytree(native.model.parent, tmp_path / "copy") / native.model.name
    corrupt.write_bytes(native.model.read_bytes()[:-200] + os.urandom(100))
    said = rf"(?s)cannot load {re.escape(str(corrupt))}: .*{native.runtime}"
    with pytest.raises(RunnerError, match=said):
        native.open(native.library, corrupt, threads=1)


def test_threads_below_one_are_refused(native: Native) -> None:
    with pytest.raises(ValueError, match="threads of at least 1, found 0"):
        native.runner(threads=0)
