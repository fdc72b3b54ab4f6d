"""The native harness: runners, the timed loop and energy counters. Times are CLOCK_MONOTONIC."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from jouleforge._core_energy import *  # noqa: F403

class RunnerError(RuntimeError):
    """A runtime refused or failed; the message is its own, with what was being done."""

class Runner:
    """A prepared engine: batches that can be run, each into its own output buffers.

    A runner serves one thread at a time; several runners may run side by side.
    """

    @property
    def batches(self) -> int:
        """How many batches are prepared."""

    def run(self, batch: int) -> None:
        """Run one batch, without the GIL, and return when its outputs lie in their buffers.

        Raises:
            IndexError: There is no such batch.
            RunnerError: The runtime failed; the message is its own.
        """

@final
class NullRunner(Runner):
    """Does nothing: what is left of its time is the loop's own."""

    def __init__(self, batches: int) -> None:
        """Pretend to hold this many batches."""

@final
class CallableRunner(Runner):
    """Calls a Python function; its times include taking the GIL."""

    def __init__(self, step: Callable[[int], object], batches: int) -> None:
        """Run batch `i` by `step(i)`, which returns when the outputs are ready."""

@final
class CudaGraphRunner(Runner):
    """Launches CUDA graphs that somebody else captured, through the driver's own library."""

    def __init__(self, *, stream: int, device: int = 0, library: str = "libcuda.so.1") -> None:
        """Take a stream of the device's primary context, and queue every run on it.

        Args:
            stream: A CUstream as an integer.
            device: The GPU, by CUDA's own index.
            library: The driver.

        Raises:
            RunnerError: There is no driver, or no such device.
        """

    def prepare(
        self,
        batches: Sequence[
            tuple[int, Sequence[tuple[int, NDArray[Any]]], Sequence[tuple[int, NDArray[Any]]]]
        ],
        owner: object = None,
    ) -> None:
        """Take one (graph, inputs, outputs) for each batch.

        A graph is an instantiated CUDA graph (CUgraphExec) as an integer. An input or output is a
        device address and the array that is copied to it before, or from it after, the graph; the
        copies are part of the run. The arrays are kept alive and are not copied here.

        Args:
            batches: What each run consists of.
            owner: Kept alive as long as the batches are: whatever owns the graphs and the device
                memory.

        Raises:
            ValueError: A graph or an address is 0, an array is not C-contiguous, or an output is
                read-only. What was prepared before stays.
            TypeError: A value is not a numpy array.
        """

@final
class TensorSpec:
    """An input or output as the model declares it."""

    @property
    def name(self) -> str:
        """The tensor's name in the model."""

    @property
    def dtype(self) -> str:
        """The element type, as numpy names it."""

    @property
    def shape(self) -> tuple[int | str, ...]:
        """Sizes; a string is the name of a dynamic axis, -1 a dynamic axis without a name."""

@final
class OrtRunner(Runner):
    """A model in ONNX Runtime, through the C API of the installed wheel's own library."""

    def __init__(
        self,
        library: str | os.PathLike[str],
        model: str | os.PathLike[str],
        *,
        threads: int,
        providers: Sequence[tuple[str, Mapping[str, str]]] = [],
        config: Mapping[str, str] = {},
        optimization_level: int = 99,
    ) -> None:
        """Load `libonnxruntime.so.*` and open a session on a `.onnx` file.

        Args:
            library: The runtime, 1.16 or newer.
            model: The ONNX file.
            threads: Intra-op threads; operators run one after another (one inter-op thread).
            providers: Names as in Python ("CUDAExecutionProvider") with their options, best
                first. The CPU is always the last resort.
            config: Session configuration entries, as of `SessionOptions.add_session_config_entry`.
            optimization_level: 0 none, 1 basic, 2 extended, 99 all.

        Raises:
            RunnerError: The library, the model or a provider cannot be loaded.
            ValueError: `threads` is below 1.
        """

    @property
    def input_specs(self) -> list[TensorSpec]:
        """What the model reads, in its own order."""

    @property
    def output_specs(self) -> list[TensorSpec]:
        """What the model writes, in its own order."""

    @property
    def version(self) -> str:
        """The runtime's version."""

    def prepare(
        self,
        batches: Sequence[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
    ) -> None:
        """Bind each batch's (inputs, outputs) arrays once; every run reads and writes them.

        The arrays are kept alive and are not copied, so inputs may be refilled between runs.
        A dynamic output size that the model does not produce is refused when the batch runs.

        Raises:
            ValueError: A name, dtype, rank or fixed size differs from the model's, or an array is
                not C-contiguous, or an output is read-only. What was prepared before stays.
            TypeError: A value is not a numpy array.
        """

@final
class OvRunner(Runner):
    """A model in OpenVINO on the CPU, through the C API of the installed wheel's own library."""

    def __init__(
        self,
        library: str | os.PathLike[str],
        model: str | os.PathLike[str],
        *,
        threads: int,
        precision: Literal["f32", "bf16", "f16"],
        config: Mapping[str, str] = {},
    ) -> None:
        """Load `libopenvino_c.so.*` and compile a model file, with latency as the goal.

        Args:
            library: The runtime, 2025 or newer; its plugins are found beside it.
            model: An `.xml` with its `.bin` beside it, or an ONNX file.
            threads: Threads of one inference.
            precision: What floating-point operators may compute in. It is always passed on, since
                OpenVINO's own default depends on the processor; a processor without instructions
                for it is free to use float32 (see `get_property`).
            config: Further properties of the CPU plugin.

        Raises:
            RunnerError: The library or the model cannot be loaded, a property is refused, or the
                runtime would use another number of threads.
            ValueError: `threads` is below 1.
        """

    @property
    def input_specs(self) -> list[TensorSpec]:
        """What the model reads, in its own order; OpenVINO does not name dynamic axes."""

    @property
    def output_specs(self) -> list[TensorSpec]:
        """What the model writes, in its own order."""

    @property
    def version(self) -> str:
        """The runtime's version."""

    def get_property(self, key: str) -> str:
        """Return a property of the compiled model, such as `INFERENCE_PRECISION_HINT`.

        Raises:
            RunnerError: There is no such property.
        """

    def prepare(
        self,
        batches: Sequence[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
    ) -> None:
        """Bind each batch's (inputs, outputs) arrays once; every run reads and writes them.

        The arrays are kept alive and are not copied, so inputs may be refilled between runs.
        A dynamic output size that the model does not produce is refused when the batch runs.

        Raises:
            ValueError: A name, dtype, rank or fixed size differs from the model's, or an array is
                not C-contiguous, or an output is read-only. What was prepared before stays.
            TypeError: A value is not a numpy array.
        """

@final
class Trace:
    """What a timed loop saw."""

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Read-only view of n + 1 stamps; run `i` spans `stamps_ns[i]` to `stamps_ns[i + 1]`."""

    @property
    def first_start_ns(self) -> int:
        """When the first timed run started: `stamps_ns[0]`."""

    @property
    def pauses(self) -> NDArray[np.int64]:
        """Pauses for a part-time sensor, shape (pauses, 3): the run after it, its begin, its end.

        The two stamps about that run span the pause too.
        """

    @property
    def passes(self) -> int:
        """Whole passes over the order that were timed."""

    @property
    def warmup_runs(self) -> int:
        """Runs before the first stamp."""

    @property
    def warmup_s(self) -> float:
        """How long they took."""

    @property
    def steady(self) -> bool | None:
        """Whether batch times had no trend any more then; None if that was not looked at."""

    @property
    def complete(self) -> bool:
        """Whether the asked duration was reached.

        False after some 16 million runs, when the room for stamps is spent; `min_passes` is
        reached, and passes are whole, all the same.
        """

def run_closed_loop(
    runner: Runner,
    *,
    order: Sequence[int] | NDArray[np.integer[Any]],
    warmup_s: float,
    duration_s: float,
    min_passes: int,
    on_warm: Callable[[], object] | None = None,
    sensor_tick_s: float = 0.0,
    longest_warmup_s: float = 0.0,
) -> Trace:
    """Warm up, then time whole passes over `order`, without the GIL.

    Args:
        runner: What to run.
        order: Batch indices of one pass, in the order they run.
        warmup_s: The warm-up lasts this long, and at least one pass.
        duration_s: The timed loop ends with the first whole pass after this long, and
        min_passes: after at least this many passes.
        on_warm: Called between the warm-up and the first stamp: the place to open an energy window.
        sensor_tick_s: The tick of a power sensor that looks a part of the time only; batches that
            keep pace with it are interrupted once a second, for a quarter of a tick.
        longest_warmup_s: If longer than `warmup_s`, the warm-up goes on for up to so long until
            batch times show no trend (csrc/steady.h).

    Raises:
        ValueError: The schedule cannot be run.
        KeyboardInterrupt: SIGINT came; in general, what the signal's Python handler raises.
        RunnerError: The runtime failed. What a CallableRunner's step raises passes through.
    """

def serve_queries(
    runner: Runner,
    *,
    order: Sequence[int] | NDArray[np.integer[Any]],
    due_ns: Sequence[int] | NDArray[np.integer[Any]],
    wait: str,
) -> Trace:
    """Serve queries as they arrive, first come first served, by one worker and without the GIL.

    There is no warm-up. `first_start_ns` is the instant from which arrivals count, and every wait
    for one is among the trace's `pauses`; a query's latency is its stamp less its intended arrival.

    Args:
        runner: What to run.
        order: Batch indices of one pass, in the order they are asked for.
        due_ns: Intended arrivals in ns from the beginning, one a query, in whole passes; they never
            fall.
        wait: How to wait for an arrival: `spin` reads the clock all the while, `block` sleeps until
            shortly before.

    Raises:
        ValueError: The arrivals cannot be kept, or there is no such way to wait.
        IndexError: The order names a batch that the runner does not hold.
        KeyboardInterrupt: SIGINT came; in general, what the signal's Python handler raises.
        RunnerError: The runtime failed. What a CallableRunner's step raises passes through.
    """
