"""CUDA: the driver's own library through ctypes. Memory, streams and captured graphs, no more.

Nothing but the NVIDIA driver is needed: neither the CUDA toolkit nor PyTorch.
"""

import ctypes
import weakref
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from numpy.typing import NDArray

from jouleforge.errors import JouleforgeError, MissingError

LIBRARY = "libcuda.so.1"

# Exported name -> types of its arguments; tests/test_cuda_symbols.py compares them with cuda.h.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetUuid_v2": (c_char_p, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuDevicePrimaryCtxGetState": (c_int, POINTER(c_uint), POINTER(c_int)),
    "cuCtxSetCurrent": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuMemcpyDtoDAsync_v2": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_uint64),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
}

_STREAM_NON_BLOCKING = 1
_CAPTURE_THREAD_LOCAL = 1
# CU_CTX_SCHED_*: how a thread waits for the GPU. By itself the driver spins while there are fewer
# contexts than processors, and gives way to other threads else (CUDA driver API, cuCtxCreate).
_SCHEDULES = {0: "spin or yield as the driver chooses", 1: "spin", 2: "yield", 4: "block"}
_SCHEDULE_MASK = 7
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


class CudaError(JouleforgeError):
    """The driver failed; the message is its own, with the call that failed."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a GPU and its driver say about themselves."""

    name: str
    compute_capability: tuple[int, int]
    cuda: str
    """Newest CUDA version that the driver supports, such as 13.2."""
    driver: str | None
    """Version of the kernel driver, such as 580.159.04; None where the kernel does not show it."""

    def __str__(self) -> str:
        major, minor = self.compute_capability
        driver = f"driver {self.driver}, " if self.driver else ""
        return f"{self.name} (compute capability {major}.{minor}, {driver}CUDA {self.cuda})"


def problem(library: str = LIBRARY) -> str | None:
    """Return why no GPU can be used here, or None if one can.

    It is asked before anything of TensorRT's is created: without a driver, TensorRT returns objects
    that crash when they are used.
    """
    try:
        driver = _Driver(library)
        driver("cuInit", 0)
        count = c_int()
        driver("cuDeviceGetCount", byref(count))
    except (MissingError, CudaError) as error:
        return str(error)
    return None if count.value > 0 else "the driver shows no GPU"


def require(library: str = LIBRARY) -> None:
    """Check that a GPU can be used.

    Raises:
        MissingError: There is no driver, or no GPU.
    """
    if reason := problem(library):
        raise MissingError(f"unavailable: {reason}; an NVIDIA GPU and its driver are needed")


def gpu(library: str = LIBRARY) -> Gpu:
    """Return what the first GPU says about itself.

    Raises:
        MissingError: There is no driver, or no GPU.
    """
    require(library)
    driver = _Driver(library)
    name = ctypes.create_string_buffer(256)
    driver("cuDeviceGetName", name, len(name), driver.device())
    version = c_int()
    driver("cuDriverGetVersion", byref(version))
    return Gpu(
        name=name.value.decode(),
        compute_capability=(
            driver.attribute(_CAPABILITY_MAJOR), driver.attribute(_CAPABILITY_MINOR)
        ),
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        driver=_kernel_driver(),
    )  # fmt: skip


def uuid(library: str = LIBRARY) -> str:
    """Return the UUID of the first GPU as NVML writes it, for NVML numbers GPUs in another order.

    Raises:
        MissingError: There is no driver, or no GPU.
    """
    require(library)
    driver = _Driver(library)
    found = ctypes.create_string_buffer(16)
    driver("cuDeviceGetUuid_v2", found, driver.device())
    return f"GPU-{UUID(bytes=found.raw)}"


def working_gpu() -> str | None:
    """Return the UUID of the GPU that engines run on, CUDA's first; `None` without CUDA.

    It is how every meter is told which GPU to look at: CUDA's order is not NVML's, and
    CUDA_VISIBLE_DEVICES changes it.
    """
    try:
        return uuid()
    except JouleforgeError:
        return None


class Device:
    """The first GPU's primary context, which every CUDA library shares; current in this thread."""

    def __init__(self, library: str = LIBRARY) -> None:
        require(library)
        self._driver = _Driver(library)
        self.ordinal = 0
        self.library = library
        number, context = self._driver.device(), c_void_p()
        self._driver("cuDevicePrimaryCtxRetain", byref(context), number)
        self._driver.when_dropped(self, "cuDevicePrimaryCtxRelease_v2", number)
        self._driver("cuCtxSetCurrent", context)

    @property
    def waiting(self) -> str:
        """How a thread waits for the GPU: `spin`, `yield`, `block`, or what the driver chooses.

        Spinning answers sooner and keeps a core busy: its energy belongs to the engine's.
        """
        flags, active = c_uint(), c_int()
        number = self._driver.device()
        self._driver("cuDevicePrimaryCtxGetState", number, byref(flags), byref(active))
        return _SCHEDULES.get(flags.value & _SCHEDULE_MASK, f"schedule {flags.value}")

    def stream(self) -> "Stream":
        """Return a stream that waits for no other."""
        return Stream(self, self._driver)

    def allocate(self, size: int) -> "Memory":
        """Return memory on the GPU.

        Args:
            size: In bytes.

        Raises:
            CudaError: There is not that much left.
        """
        return Memory(self, self._driver, size)


class Memory:
    """Memory on a GPU, which is given back when nobody refers to this any more."""

    def __init__(self, device: Device, driver: "_Driver", size: int) -> None:
        address = c_uint64()
        driver("cuMemAlloc_v2", byref(address), max(size, 1))
        driver.when_dropped(self, "cuMemFree_v2", address.value)
        self._device = device
        self.address = address.value
        self.size = size


class Graph:
    """Work that was captured from a stream, and can be launched again and again."""

    def __init__(self, device: Device, driver: "_Driver", captured: c_void_p) -> None:
        executable = c_void_p()
        try:
            driver("cuGraphInstantiateWithFlags", byref(executable), captured, 0)
        finally:
            driver("cuGraphDestroy", captured)
        driver.when_dropped(self, "cuGraphExecDestroy", executable.value)
        self._device = device
        self.handle = executable.value or 0
        """A CUgraphExec."""


class Stream:
    """A queue of work for a GPU."""

    def __init__(self, device: Device, driver: "_Driver") -> None:
        handle = c_void_p()
        driver("cuStreamCreate", byref(handle), _STREAM_NON_BLOCKING)
        driver.when_dropped(self, "cuStreamDestroy_v2", handle.value)
        self._device, self._driver = device, driver
        self.handle = handle.value or 0
        """A CUstream."""

    def copy_in(self, memory: Memory, array: NDArray[Any]) -> None:
        """Queue a copy of an array to the GPU; keep the array until it is done.

        Raises:
            ValueError: The array is not C-contiguous, or larger than the memory.
        """
        self._driver(
            "cuMemcpyHtoDAsync_v2",
            memory.address,
            _pointer(array, memory),
            array.nbytes,
            self.handle,
        )

    def copy_out(self, array: NDArray[Any], memory: Memory) -> None:
        """Queue a copy from the GPU into an array; keep the array until it is done.

        Raises:
            ValueError: The array is not C-contiguous, or larger than the memory.
        """
        self._driver(
            "cuMemcpyDtoHAsync_v2",
            _pointer(array, memory),
            memory.address,
            array.nbytes,
            self.handle,
        )

    def copy_within(self, target: Memory, source: Memory) -> None:
        """Queue a copy of the smaller one's size from one place on the GPU to another."""
        size = min(target.size, source.size)
        self._driver("cuMemcpyDtoDAsync_v2", target.address, source.address, size, self.handle)

    def synchronize(self) -> None:
        """Wait for all that was queued."""
        self._driver("cuStreamSynchronize", self.handle)

    def captured(self, work: Callable[[], None]) -> Graph:
        """Return what `work` queues on this stream, as a graph; it is not executed.

        Raises:
            CudaError: The work cannot be captured.
        """
        captured = c_void_p()
        self._driver("cuStreamBeginCapture_v2", self.handle, _CAPTURE_THREAD_LOCAL)
        try:
            work()
        except BaseException:
            # The stream must leave capture mode; the error that stopped the work is the one to see.
            self._driver.attempt("cuStreamEndCapture", self.handle, byref(captured))
            if captured:
                self._driver.attempt("cuGraphDestroy", captured)
            raise
        self._driver("cuStreamEndCapture", self.handle, byref(captured))
        return Graph(self._device, self._driver, captured)


class _Driver:
    """The library, with one error for every status that is not success."""

    def __init__(self, path: str) -> None:
        try:
            self._library = ctypes.CDLL(path)
            for name, arguments in SIGNATURES.items():
                getattr(self._library, name).argtypes = arguments
        except (OSError, AttributeError) as error:
            raise MissingError(f"no CUDA driver: {error}") from error

    def __call__(self, name: str, *arguments: Any) -> None:
        status = self.attempt(name, *arguments)
        if status != 0:
            text = c_char_p()
            self._library.cuGetErrorString(status, byref(text))
            reason = (text.value or b"unknown error").decode()
            raise CudaError(f"{name}: {reason} (CUDA error {status})")

    def attempt(self, name: str, *arguments: Any) -> int:
        """Return the status of a call."""
        return int(getattr(self._library, name)(*arguments))

    def when_dropped(self, owner: object, name: str, *arguments: Any) -> None:
        """Call this when `owner` is gone; what fails then is of no use to anybody."""
        weakref.finalize(owner, self.attempt, name, *arguments)

    def device(self) -> int:
        """Return the driver's number of the first GPU."""
        number = c_int()
        self("cuDeviceGet", byref(number), 0)
        return number.value

    def attribute(self, which: int) -> int:
        value = c_int()
        self("cuDeviceGetAttribute", byref(value), which, self.device())
        return value.value


def _pointer(array: NDArray[Any], memory: Memory) -> int:
    if not array.flags.c_contiguous or array.nbytes > memory.size:
        raise ValueError(
            f"expected a C-contiguous array of at most {memory.size} bytes, found one of "
            f"{array.nbytes} bytes and strides {array.strides}"
        )
    return int(array.ctypes.data)


def _kernel_driver() -> str | None:
    try:
        return Path("/sys/module/nvidia/version").read_text(encoding="ascii").strip()
    except OSError:
        return None
