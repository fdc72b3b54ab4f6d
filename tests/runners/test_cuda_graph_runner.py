"""The CUDA graph runner from Python, against a fake driver."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from fake_driver import FakeDriver

from jouleforge import cuda
from jouleforge._core import CudaGraphRunner, RunnerError


class Setting:
    """A graph that sums one row of three tokens for two labels, and its arrays."""

    def __init__(self, driver: FakeDriver) -> None:
        self.driver = driver
        self.device = cuda.Device(driver.path)
        self.stream = self.device.stream()
        self.memory = [self.device.allocate(24) for _ in range(3)]
        ids, mask, out = (memory.address for memory in self.memory)
        self.graph = self.stream.captured(
            lambda: driver.kernel(self.stream.handle, ids, mask, out, (1, 3, 2))
        )
        self.ids, self.mask = np.array([[5, 7, 11]]), np.array([[1, 1, 0]])
        self.logits = np.full((1, 2), np.nan, np.float32)
        self.runner = CudaGraphRunner(stream=self.stream.handle, library=driver.path)

    def prepare(self, owner: object = None) -> None:
        ids, mask, out = (memory.address for memory in self.memory)
        inputs, outputs = [(ids, self.ids), (mask, self.mask)], [(out, self.logits)]
        self.runner.prepare([(self.graph.handle, inputs, outputs)], owner=owner)


@pytest.fixture
def setting(cuda_library: Path) -> Setting:
    return Setting(FakeDriver(cuda_library))


def test_run_writes_the_outputs_into_the_given_array(setting: Setting) -> None:
    setting.prepare()
    setting.runner.run(0)
    np.testing.assert_array_equal(setting.logits, [[12, 24]])
    setting.ids[0, 0] = 100
    setting.runner.run(0)
    np.testing.assert_array_equal(setting.logits, [[107, 214]])


def test_failure_is_one_error_with_the_drivers_words(setting: Setting) -> None:
    setting.prepare()
    setting.driver.fail("cuGraphLaunch", 700)
    with pytest.raises(RunnerError, match=r"batch 0: cuGraphLaunch: a fake error .*700"):
        setting.runner.run(0)


def test_missing_driver_is_one_error() -> None:
    with pytest.raises(RunnerError, match=r"libnothing.so.1.*Is the NVIDIA driver installed"):
        CudaGraphRunner(stream=1, library="libnothing.so.1")


def test_array_that_cannot_be_copied_is_refused(setting: Setting) -> None:
    setting.ids = np.zeros((3, 2), np.int64).T
    with pytest.raises(ValueError, match=r"batch 0, inputs: .*C-contiguous"):
        setting.prepare()
    setting.ids = np.zeros((1, 3), np.int64)
    setting.logits.flags.writeable = False
    with pytest.raises(ValueError, match=r"batch 0, outputs: .*writable"):
        setting.prepare()


def test_owner_lives_as_long_as_the_batches(setting: Setting) -> None:
    class Owner:
        pass

    owner = Owner()
    alive = weakref.ref(owner)
    setting.prepare(owner)
    del owner
    gc.collect()
    assert alive() is not None
    setting.runner.prepare([])
    gc.collect()
    assert alive() is None
