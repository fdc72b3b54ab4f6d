"""The load that an examination of a GPU's meter works with, on the fake driver."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_driver import FakeDriver

from jouleforge.cuda import CudaError
from jouleforge.errors import MissingError
from jouleforge.gpu_load import GpuLoad


@pytest.fixture
def driver(cuda_library: Path) -> FakeDriver:
    return FakeDriver(cuda_library)


def test_it_works_until_the_block_is_left(driver: FakeDriver) -> None:
    load = GpuLoad(driver.path, size=1024)
    with load.batches(0.001, 0.001):
        time.sleep(0.02)
    during = driver.calls["cuMemcpyDtoDAsync_v2"]
    assert during > 0
    time.sleep(0.01)
    assert driver.calls["cuMemcpyDtoDAsync_v2"] == during


@pytest.mark.parametrize("busy_s", [0.001, 3600.0])
def test_its_copies_are_counted_and_work_without_end_ends_with_the_block(
    driver: FakeDriver, busy_s: float
) -> None:
    load = GpuLoad(driver.path, size=1024)
    done: Callable[[], int]
    with load.batches(busy_s) as done:
        time.sleep(0.02)
    assert done() == driver.calls["cuMemcpyDtoDAsync_v2"] > 0


def test_a_driver_that_fails_is_told_when_the_block_is_left(driver: FakeDriver) -> None:
    load = GpuLoad(driver.path, size=1024)
    driver.fail("cuMemcpyDtoDAsync_v2", 700)
    with pytest.raises(CudaError, match="cuMemcpyDtoDAsync_v2"), load.batches(0.001):
        time.sleep(0.02)


def test_it_needs_a_gpu() -> None:
    with pytest.raises(MissingError):
        GpuLoad("libnothing.so.1")
