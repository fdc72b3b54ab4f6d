"""TensorRT: the plan runs as captured CUDA graphs, one for each shape, which the harness launches.

TensorRT's own interface is only used before the clock runs. A captured graph fixes shapes and
addresses, so every distinct shape of the batches gets a context and a graph of its own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jouleforge import cuda, nvinfer
from jouleforge._core import CudaGraphRunner, Runner
from jouleforge.cuda import Device, Graph
from jouleforge.engine import Engine
from jouleforge.errors import InputError
from jouleforge.nvinfer import Library
from jouleforge.nvinfer import record as records
from jouleforge.nvinfer.execution import OUTPUT, Execution, OpenPlan
from jouleforge.nvinfer.record import BuildRecord
from jouleforge.runners import Arrays


class Session:
    """A plan on the GPU."""

    def __init__(self, plan: bytes, record: BuildRecord, library: Library, device: Device) -> None:
        self._plan = OpenPlan(plan, record, library, device)
        self._device = device
        self._stream = device.stream()
        self.runtime = (
            f"{library.name} {library.version} on {cuda.gpu(device.library)}, waits: "
            f"{device.waiting}"
        )

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        """Return a runner over these batches; each run copies in, launches, and copies out."""
        captured: dict[tuple[int, ...], tuple[Execution, Graph]] = {}
        batches = []
        for arrays, out in zip(inputs, outputs, strict=True):
            shape = next(iter(arrays.values())).shape
            if shape not in captured:
                captured[shape] = self._capture(arrays)
            execution, graph = captured[shape]
            logits = execution.outputs[OUTPUT]
            if out.shape != logits.shape or out.dtype != np.float32:
                raise InputError(
                    f"the engine writes float32 logits of shape {logits.shape}, the array for "
                    f"them is {out.dtype} of shape {out.shape}"
                )
            copies_in = [(execution.inputs[name].address, arrays[name]) for name in arrays]
            batches.append((graph.handle, copies_in, [(logits.memory.address, out)]))
        runner = CudaGraphRunner(
            stream=self._stream.handle, device=self._device.ordinal, library=self._device.library
        )
        runner.prepare(batches, owner=(self, captured))
        return runner

    def _capture(self, arrays: Arrays) -> tuple[Execution, Graph]:
        execution = Execution(self._plan, self._stream, arrays)
        # The first execution in a shape does work that is put off until then, and may allocate;
        # neither can be captured.
        execution.run(arrays)
        return execution, self._stream.captured(execution.enqueue)


def load(engine: Engine, *, threads: int) -> Session:
    """Return the engine's plan, read onto the first GPU.

    Raises:
        MissingError: There is no GPU, no driver or no TensorRT, or the plan is for others.
        InputError: The engine holds no plan of TensorRT's.
    """
    del threads  # the GPU does the work
    cuda.require()
    record = records.read(engine.path)
    library = nvinfer.load_full()
    return Session((engine.path / records.PLAN).read_bytes(), record, library, Device())
