"""The levers of the fake NVML (tests/cpp/fake_nvml.cpp): sensors, loads, and the truth."""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).parent / "cpp" / "fake_nvml.cpp"
NAME = "libnvidia-ml.so.1"

IDLE_W, BUSY_W = 130.0, 280.0


class Sensor(ctypes.Structure):
    """As in tests/cpp/fake_gpu.h."""

    _fields_ = (
        ("period_ns", ctypes.c_int64),
        ("phase_ns", ctypes.c_int64),
        ("lag_ns", ctypes.c_int64),
        ("jitter_ns", ctypes.c_int64),
        ("late_to_show", ctypes.c_bool),
        ("missing", ctypes.c_double),
        ("looks_ns", ctypes.c_int64),
    )


def build(folder: Path) -> Path:
    """Compile the library; return it. There has to be a C++ compiler."""
    compiler = shutil.which("c++")
    assert compiler is not None, "no C++ compiler"
    library = folder / NAME
    command = [compiler, "-std=c++20", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return library


class FakeNvml:
    """Two GPUs whose counters, loads and faults are set here; as they were when loaded."""

    def __init__(self, library: Path | str) -> None:
        self.path = str(library)
        self._library = ctypes.CDLL(self.path)
        self._library.fake_truth.restype = ctypes.c_double
        self._library.fake_reads.restype = ctypes.c_ulonglong
        self.restore()

    def restore(self) -> None:
        self._library.fake_restore()

    def freeze(self, *, gpu: int = 0) -> None:
        """The counter stands still from now on."""
        self._library.fake_freeze(gpu, ctypes.c_int64(time.monotonic_ns()))

    def sensor(self, *, read_cost_ns: int = 0, gpu: int = 0, **values: int) -> None:
        made = Sensor(**{"period_ns": 100_000_000, **values})
        self._library.fake_set_sensor(gpu, ctypes.byref(made), ctypes.c_int64(read_cost_ns))

    def load(self, at_ns: Any, watts: Any, *, gpu: int = 0) -> None:
        """Power from each instant on, shape (steps,) both; the last one's for ever."""
        at = np.ascontiguousarray(at_ns, dtype=np.int64)
        power = np.ascontiguousarray(watts, dtype=np.float64)
        place, height = (ctypes.c_void_p(array.ctypes.data) for array in (at, power))
        self._library.fake_set_load(gpu, ctypes.c_size_t(len(at)), place, height, height)

    def idle(self, *, gpu: int = 0) -> None:
        self.load([0], [IDLE_W], gpu=gpu)

    def batches(
        self, begin_ns: int, end_ns: int, *, busy_ns: int, idle_ns: int, gpu: int = 0
    ) -> None:
        """Work and rest in turn from one instant to another, idle before and after."""
        begins = np.arange(begin_ns, end_ns, busy_ns + idle_ns, dtype=np.int64)
        at = np.stack([begins, np.minimum(begins + busy_ns, end_ns)], axis=1).ravel()
        watts = np.tile([BUSY_W, IDLE_W], len(begins))
        self.load(np.insert(at, 0, 0), np.insert(watts, 0, IDLE_W), gpu=gpu)

    def truth(self, begin_ns: int, end_ns: int, *, gpu: int = 0) -> float:
        """Joules between two instants, as a counter that lags as this one does would have them."""
        found: float = self._library.fake_truth(
            gpu, ctypes.c_int64(begin_ns), ctypes.c_int64(end_ns)
        )
        return found

    def reads(self, *, gpu: int = 0) -> int:
        found: int = self._library.fake_reads(gpu)
        return found


class FakeGpu(FakeNvml):
    """The first GPU of the fake NVML, behind a sensor with ticks of 20 ms."""

    def look(self, looks_ns: int = 0, *, lag_ns: int = 0) -> None:
        self.sensor(period_ns=20_000_000, looks_ns=looks_ns, lag_ns=lag_ns)
        self.idle()

    @contextmanager
    def work(self, busy_s: float, idle_s: float = 0.0) -> Iterator[Callable[[], int]]:
        """Half a minute of batches, and one unit of work a microsecond."""
        begin_ns = time.monotonic_ns()
        busy_ns, idle_ns = int(min(busy_s, 30) * 1e9), int(idle_s * 1e9)
        self.batches(begin_ns, begin_ns + 30 * 10**9, busy_ns=busy_ns, idle_ns=idle_ns)
        yield lambda: (time.monotonic_ns() - begin_ns) // 1000
        self.idle()
