"""The fake CUDA driver of tests/cpp/fake_cuda.cpp, as Python tests talk to it."""

import ctypes
import gc
from collections import Counter
from pathlib import Path


class FakeDriver:
    """What the driver was asked to do, and what it shall fail at."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.library = ctypes.CDLL(self.path)
        self.library.fake_calls.restype = ctypes.c_char_p
        self.library.fake_kernel.argtypes = [
            ctypes.c_void_p,
            *[ctypes.c_uint64] * 3,
            *[ctypes.c_int] * 3,
        ]
        gc.collect()  # what earlier tests left is given back before the count begins anew
        self.library.fake_reset()

    def fail(self, call: str, status: int) -> None:
        """Let a call return this status from now on."""
        self.library.fake_fail(call.encode(), status)

    @property
    def calls(self) -> Counter[str]:
        """How often each function was called."""
        return Counter(self.library.fake_calls().decode().split())

    @property
    def live(self) -> int:
        """Contexts, streams, graphs and allocations that were not given back."""
        return int(self.library.fake_live())

    @property
    def captures(self) -> int:
        """Streams that are being captured."""
        return int(self.library.fake_captures())

    def kernel(
        self, stream: int, ids: int, mask: int, out: int, shape: tuple[int, int, int]
    ) -> None:
        """Queue out[row, label] = (label + 1) * sum(ids * mask over the row)."""
        self.library.fake_kernel(stream, ids, mask, out, *shape)
