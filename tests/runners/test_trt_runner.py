"""The TensorRT runner against a fake driver and a fake TensorRT that is strict about the order."""

import gc
from collections.abc import Callable
from pathlib import Path

import fake_tensorrt
import numpy as np
import pytest
from fake_driver import FakeDriver
from numpy.typing import NDArray
from tasks import write_task

from jouleforge import cuda, energy, nvinfer, runners
from jouleforge.cuda import Device
from jouleforge.energy import none
from jouleforge.engine import Engine
from jouleforge.errors import InputError, MissingError
from jouleforge.measurement import WorkloadSpec
from jouleforge.nvinfer import record as records
from jouleforge.nvinfer.execution import OpenPlan
from jouleforge.nvinfer.record import BuildRecord
from jouleforge.protocol import measure
from jouleforge.recipe import Recipe
from jouleforge.runners import trt
from jouleforge.schedule import Schedule

MakeEngine = Callable[..., Engine]
Arrays = dict[str, NDArray[np.int64]]


@pytest.fixture
def driver(cuda_library: Path) -> FakeDriver:
    return FakeDriver(cuda_library)


def session(driver: FakeDriver, record: BuildRecord = fake_tensorrt.RECORD) -> trt.Session:
    library = fake_tensorrt.library(driver)
    return trt.Session(fake_tensorrt.PLAN, record, library, Device(driver.path))


def batch(rows: int, tokens: int) -> tuple[Arrays, NDArray[np.float32]]:
    rng = np.random.default_rng(rows * 100 + tokens)
    shape = (rows, tokens)
    arrays = {"input_ids": rng.integers(0, 99, shape), "attention_mask": rng.integers(0, 2, shape)}
    return arrays, np.full((rows, fake_tensorrt.LABELS), np.nan, np.float32)


def expected(arrays: Arrays) -> NDArray[np.int64]:
    sums = (arrays["input_ids"] * arrays["attention_mask"]).sum(axis=1, keepdims=True)
    answers: NDArray[np.int64] = sums * np.arange(1, fake_tensorrt.LABELS + 1)
    return answers


def test_every_batch_gets_its_own_answers_whatever_its_shape(driver: FakeDriver) -> None:
    batches = [batch(4, 8), batch(1, 16), batch(4, 8), batch(3, 9)]
    batches[2][0]["input_ids"][:] = 1
    runner = session(driver).prepare([arrays for arrays, _ in batches], [out for _, out in batches])
    for number in (2, 0, 3, 1, 2):
        runner.run(number)
    for arrays, out in batches:
        np.testing.assert_array_equal(out, expected(arrays))


def test_batches_of_one_shape_share_a_graph(driver: FakeDriver) -> None:
    batches = [batch(4, 8), batch(4, 8), batch(2, 8), batch(4, 8)]
    runner = session(driver).prepare([arrays for arrays, _ in batches], [out for _, out in batches])
    assert driver.calls["cuGraphInstantiateWithFlags"] == 2
    runner.run(1)
    np.testing.assert_array_equal(batches[1][1], expected(batches[1][0]))
    assert np.isnan(batches[0][1]).all(), "the others' outputs are left alone"


def test_runner_outlives_the_session_it_came_from(driver: FakeDriver) -> None:
    arrays, out = batch(2, 5)
    runner = session(driver).prepare([arrays], [out])
    gc.collect()
    runner.run(0)
    np.testing.assert_array_equal(out, expected(arrays))
    del runner
    gc.collect()
    assert driver.live == 0


def test_shape_beyond_the_plan_is_one_clear_error(driver: FakeDriver) -> None:
    arrays, out = batch(4, 17)
    with pytest.raises(InputError, match=r"4 rows and 17 tokens .* up to 4 rows and 16 tokens"):
        session(driver).prepare([arrays], [out])


def test_array_of_another_type_or_shape_is_refused(driver: FakeDriver) -> None:
    arrays, out = batch(4, 8)
    with pytest.raises(InputError, match=r"logits of shape \(4, 3\), .* of shape \(4, 2\)"):
        session(driver).prepare([arrays], [np.ascontiguousarray(out[:, :2])])
    narrow = {name: array.astype(np.int32) for name, array in arrays.items()}
    with pytest.raises(InputError, match="input_ids is expected to be int64, found int32"):
        session(driver).prepare([narrow], [out])


def test_plan_that_tensorrt_refuses_is_an_error_with_its_words(driver: FakeDriver) -> None:
    with pytest.raises(MissingError, match=r"on Fake GPU .*11.4.0.106 built: the plan was built f"):
        OpenPlan(b"?", fake_tensorrt.RECORD, fake_tensorrt.library(driver), Device(driver.path))


def test_plan_for_another_gpu_is_refused(driver: FakeDriver) -> None:
    other = fake_tensorrt.RECORD.model_copy(update={"gpu": "Other GPU"})
    with pytest.raises(MissingError, match=r"built for Other GPU, .* has Fake GPU.*convert again"):
        session(driver, other)


def test_plan_of_another_library_is_refused(driver: FakeDriver) -> None:
    other = fake_tensorrt.RECORD.model_copy(update={"library": "tensorrt-rtx"})
    with pytest.raises(InputError, match="a plan of tensorrt-rtx cannot be run by tensorrt"):
        session(driver, other)


def test_engine_is_opened_through_its_record(
    driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / records.PLAN).write_bytes(fake_tensorrt.PLAN)
    records.write(tmp_path, fake_tensorrt.RECORD)
    monkeypatch.setattr(nvinfer, "load_full", lambda: fake_tensorrt.library(driver))
    monkeypatch.setattr(cuda, "require", lambda *_: None)
    monkeypatch.setattr(trt, "Device", lambda: Device(driver.path))
    arrays, out = batch(4, 8)
    opened = trt.load(Engine(tmp_path, manifest=None), threads=1)  # type: ignore[arg-type]
    opened.prepare([arrays], [out]).run(0)
    np.testing.assert_array_equal(out, expected(arrays))
    assert opened.runtime.startswith("tensorrt 11.4.0.106 on Fake GPU (compute capability 9.0")
    assert opened.runtime.endswith(", waits: spin or yield as the driver chooses")


def test_measurement_of_a_gpu_engine_asks_for_the_gpus_energy(
    driver: FakeDriver, make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever this engine was made for, the fake plan has its inputs and its three labels.
    engine = make_engine("distilbert", target="ort")
    recipe = Recipe(target="trt", flavour="plain", max_length=16)
    manifest = engine.manifest.model_copy(update={"recipe": recipe, "max_length": 16})
    monkeypatch.setattr(runners, "load", lambda *_, **__: session(driver))
    asked = []

    def open_source(name: str, *, device: str, **_: object) -> energy.EnergySource:
        asked.append((name, device))
        return none.Source(reason="there is no GPU")

    monkeypatch.setattr(energy, "open_source", open_source)
    task = write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=9)
    row = measure(
        Engine(engine.path, manifest),
        WorkloadSpec(task=str(task), batch_size=4, padding="static:16"),
        threads=1,
        schedule=Schedule(warmup_s=0, duration_s=0.001),
    )
    assert asked == [("auto", "gpu")]
    assert row.engine.runtime.startswith("tensorrt 11.4.0.106 on Fake GPU")
    assert row.facts.examples == 9
    assert driver.calls["cuGraphLaunch"] == 3 * (1 + row.timing.passes), "the warm-up, then passes"


@pytest.mark.skipif(cuda.problem() is None, reason="this machine has a GPU")
def test_without_a_driver_nothing_of_tensorrt_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvinfer, "load_full", lambda: pytest.fail("TensorRT would crash"))
    with pytest.raises(MissingError, match=r"^unavailable: "):
        trt.load(Engine(tmp_path, manifest=None), threads=1)  # type: ignore[arg-type]
