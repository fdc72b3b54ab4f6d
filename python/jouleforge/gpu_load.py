"""A load for a GPU that needs no engine: copies within its memory, for as long as it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jouleforge import cuda

_BYTES = 1 << 28
"""Larger than any cache, so that the memory itself is kept busy; copied in a millisecond or two."""

_COPIES = 4
"""Queued at a time, so that the GPU does not wait for the next one."""


class GpuLoad:
    """The first GPU, with a context open and memory to copy."""

    def __init__(self, library: str = cuda.LIBRARY, *, size: int = _BYTES) -> None:
        """Open the context and take the memory, two times `size` bytes.

        Raises:
            MissingError: There is no driver, or no GPU.
            CudaError: There is not that much memory left.
        """
        self._device = cuda.Device(library)
        self._memory = self._device.allocate(size), self._device.allocate(size)

    @contextmanager
    def batches(self, busy_s: float, idle_s: float = 0.0) -> Iterator[Callable[[], int]]:
        """Work for `busy_s` and rest for `idle_s`, again and again, in a thread of its own.

        Within the block there is a function that tells how many copies are done.

        Raises:
            CudaError: The driver failed; raised when the block is left.
        """
        ended = threading.Event()
        failures: list[Exception] = []
        done = [0]

        def work() -> None:
            try:
                self._work(ended, done, busy_s, idle_s)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=work, name="jouleforge-load")
        thread.start()
        try:
            yield lambda: done[0]
        finally:
            ended.set()
            thread.join()
        if failures:
            raise failures[0]

    def _work(self, ended: threading.Event, done: list[int], busy_s: float, idle_s: float) -> None:
        device = cuda.Device(self._device.library)  # current in this thread
        stream = device.stream()
        source, target = self._memory
        begin_s = time.monotonic()
        while not ended.is_set():
            while not ended.is_set() and time.monotonic() < begin_s + busy_s:
                copies = _COPIES if busy_s > 1 else 1
                for _ in range(copies):
                    stream.copy_within(target, source)
                stream.synchronize()
                done[0] += copies
            # Counted from the one before, so that periods do not grow with what a copy takes.
            begin_s += busy_s + idle_s
            ended.wait(max(0.0, begin_s - time.monotonic()))
