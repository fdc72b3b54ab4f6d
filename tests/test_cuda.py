"""The driver through ctypes, against a fake one: capture, lifetimes, and one clear error each."""

import gc
from pathlib import Path

import numpy as np
import pytest
from fake_driver import FakeDriver

from jouleforge import cuda
from jouleforge.errors import MissingError


@pytest.fixture
def driver(cuda_library: Path) -> FakeDriver:
    return FakeDriver(cuda_library)


def test_gpu_says_what_it_is(driver: FakeDriver) -> None:
    found = cuda.gpu(driver.path)
    assert (found.name, found.compute_capability, found.cuda) == ("Fake GPU", (9, 0), "13.2")
    assert "Fake GPU (compute capability 9.0" in str(found)


def test_the_first_gpu_has_the_uuid_that_nvml_knows_it_by(driver: FakeDriver) -> None:
    assert cuda.uuid(driver.path) == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    ("flags", "waiting"),
    [(0, "spin or yield as the driver chooses"), (1, "spin"), (2, "yield"), (4 | 8, "block")],
)
def test_how_threads_wait_for_the_gpu_is_named(
    driver: FakeDriver, flags: int, waiting: str
) -> None:
    driver.library.fake_set_schedule(flags)
    assert cuda.Device(driver.path).waiting == waiting


def test_memory_is_copied_within_the_gpu(driver: FakeDriver) -> None:
    device = cuda.Device(driver.path)
    stream, first, second = device.stream(), device.allocate(24), device.allocate(24)
    sent, received = np.array([1, 2, 3]), np.zeros(3, np.int64)
    stream.copy_in(first, sent)
    stream.copy_within(second, first)
    stream.copy_out(received, second)
    stream.synchronize()
    np.testing.assert_array_equal(sent, received)


def test_missing_driver_is_one_reason() -> None:
    assert "libnothing.so.1" in (cuda.problem("libnothing.so.1") or "")
    with pytest.raises(MissingError, match=r"^unavailable: no CUDA driver: libnothing.so.1"):
        cuda.require("libnothing.so.1")


def test_library_that_is_no_driver_is_one_reason() -> None:
    assert "no CUDA driver" in (cuda.problem("libm.so.6") or "")


@pytest.mark.parametrize("call", ["cuInit", "cuDeviceGetCount"])
def test_driver_without_a_gpu_gives_its_own_reason(driver: FakeDriver, call: str) -> None:
    driver.fail(call, 100)
    assert cuda.problem(driver.path) == f"{call}: a fake error (CUDA error 100)"
    with pytest.raises(MissingError, match=f"unavailable: {call}"):
        cuda.Device(driver.path)


def test_copies_there_and_back_are_done_when_the_stream_was_waited_for(driver: FakeDriver) -> None:
    device = cuda.Device(driver.path)
    stream, memory = device.stream(), device.allocate(24)
    sent, received = np.array([1, 2, 3]), np.zeros(3, np.int64)
    stream.copy_in(memory, sent)
    stream.copy_out(received, memory)
    assert not received.any()
    stream.synchronize()
    np.testing.assert_array_equal(received, sent)


def test_captured_work_is_not_executed(driver: FakeDriver) -> None:
    device = cuda.Device(driver.path)
    stream, memory = device.stream(), device.allocate(8)
    received = np.zeros(1, np.int64)
    graph = stream.captured(lambda: stream.copy_out(received + 0, memory))
    assert graph.handle
    stream.synchronize()
    assert received == [0]
    assert driver.calls["cuGraphDestroy"] == 1, "only the executable form is kept"


def test_capture_that_fails_leaves_the_stream_usable(driver: FakeDriver) -> None:
    device = cuda.Device(driver.path)
    stream = device.stream()
    live = driver.live
    with pytest.raises(cuda.CudaError, match=r"cuMemAlloc_v2: a fake error \(CUDA error 900\)"):
        stream.captured(lambda: device.allocate(8) and None)
    assert (driver.captures, driver.live) == (0, live)
    stream.synchronize()


def test_everything_is_given_back_in_order(driver: FakeDriver) -> None:
    device = cuda.Device(driver.path)
    stream = device.stream()
    kept = [device.allocate(8), stream, stream.captured(lambda: None)]
    del device, stream
    gc.collect()
    assert driver.calls["cuDevicePrimaryCtxRelease_v2"] == 0, "what is left needs the context"
    kept.clear()
    gc.collect()
    assert driver.live == 0
