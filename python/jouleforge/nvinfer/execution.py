"""Execution: a plan on the GPU, and one context for each shape it is to run in."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jouleforge import cuda
from jouleforge.cuda import Device, Memory, Stream
from jouleforge.errors import GateError, InputError, MissingError
from jouleforge.nvinfer import INSTALL, Library, Log
from jouleforge.nvinfer.api import ICudaEngine, IExecutionContext, Runtime
from jouleforge.nvinfer.record import BuildRecord

OUTPUT = "logits"

_LEAN = ("tensorrt_lean_libs", "tensorrt_lean")


class OpenPlan:
    """A plan that was read onto the GPU."""

    def __init__(self, plan: bytes, record: BuildRecord, library: Library, device: Device) -> None:
        """Read the plan.

        Args:
            plan: What the builder wrote.
            record: What the builder was told.
            library: What executes it.
            device: The GPU; having one proves that there is a driver, without which TensorRT
                returns objects that crash.

        Raises:
            InputError: The plan is another library's.
            MissingError: This TensorRT, on this GPU, does not take the plan.
        """
        if record.library != library.name:
            raise InputError(f"a plan of {record.library} cannot be run by {library.name}")
        here = cuda.gpu(device.library)
        if record.gpu not in (None, here.name):
            raise MissingError(
                f"unavailable: the plan was built for {record.gpu}, this machine has {here}; plans "
                "do not move between GPUs, so convert again on this machine"
            )
        self.record, self.library, self.device = record, library, device
        self.log = Log(most=1)
        self._logger = self.log.logger(library)
        self._runtime = self._open_runtime()
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise MissingError(
                f"unavailable: {library.name} {library.version} on {here} does not take a plan "
                f"that {record.version} built: {'; '.join(self.log.errors) or 'no reason given'}; "
                "convert again on this machine"
            )
        self.engine: ICudaEngine = engine
        # One block for all contexts: they never run at the same time.
        self._working = device.allocate(engine.device_memory_size_v2)

    def _open_runtime(self) -> Runtime:
        runtime = self.library.api.Runtime(self._logger)
        if self.record.version_compatible:
            # Such a plan carries host code: its own runtime, or what finds it. Our manifest's
            # digest has already tied the file to the conversion.
            runtime.engine_host_code_allowed = True
        if not self.record.lean:
            return runtime
        path = _lean_library()
        lean = runtime.load_runtime(str(path))
        if lean is None:
            raise MissingError(f"unavailable: {path}: {'; '.join(self.log.errors)}")
        lean.engine_host_code_allowed = True
        return lean

    def context(self, stream: Stream, profile: int) -> IExecutionContext:
        """Return a context for one range of shapes."""
        strategy = self.library.api.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self.engine.create_execution_context(strategy)
        if context is None:
            raise self.failure("create_execution_context")
        context.set_device_memory(self._working.address, self._working.size)
        self.must(context.set_optimization_profile_async(profile, stream.handle), "profile")
        return context

    def must(self, worked: bool, what: str) -> None:
        """Raise what TensorRT said unless a call worked."""
        if not worked:
            raise self.failure(what)

    def failure(self, what: str) -> GateError:
        """Return an error with what TensorRT said."""
        said = "; ".join(self.log.errors) or "it gives no reason"
        return GateError(f"TensorRT failed at {what}: {said}")


@dataclass(frozen=True, slots=True)
class Output:
    """Where an execution writes one of its outputs, in float32."""

    memory: Memory
    shape: tuple[int, ...]


class Execution:
    """A plan in one shape: a context whose inputs and outputs have their memory."""

    def __init__(
        self,
        plan: OpenPlan,
        stream: Stream,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str] = (OUTPUT,),
    ) -> None:
        """Bind memory for inputs of these shapes and types, and for all outputs of the plan.

        Raises:
            InputError: No profile of the plan takes this shape, or an input is not int64.
            GateError: TensorRT refuses it.
        """
        batch, sequence = next(iter(inputs.values())).shape
        profile = plan.record.profile_of(batch, sequence)
        self._plan, self._stream = plan, stream
        self._context = plan.context(stream, profile)
        self.inputs: dict[str, Memory] = {}
        for name, array in inputs.items():
            if array.dtype != np.int64:
                raise InputError(f"{name} is expected to be int64, found {array.dtype}")
            shape = tuple(array.shape)
            plan.must(self._context.set_input_shape(name, shape), f"the shape of {name}")
            self.inputs[name] = self._bind(name, array.nbytes)
        self.outputs = {name: self._bind_output(name) for name in outputs}

    def _bind(self, name: str, size: int) -> Memory:
        memory = self._plan.device.allocate(size)
        self._plan.must(self._context.set_tensor_address(name, memory.address), f"binding {name}")
        return memory

    def _bind_output(self, name: str) -> Output:
        shape = tuple(self._context.get_tensor_shape(name))
        self._plan.must(min(shape, default=-1) > 0, f"the shape of {name}, {shape}")
        size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        return Output(self._bind(name, size), shape)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Copy in, execute once, and return all outputs."""
        for name, memory in self.inputs.items():
            self._stream.copy_in(memory, inputs[name])
        self.enqueue()
        # NaN until written: what was not written cannot pass for an answer.
        written = {
            name: np.full(output.shape, np.nan, dtype=np.float32)
            for name, output in self.outputs.items()
        }
        for name, output in self.outputs.items():
            self._stream.copy_out(written[name], output.memory)
        self._stream.synchronize()
        return written

    def enqueue(self) -> None:
        """Queue one execution, without copies.

        Raises:
            GateError: TensorRT refuses; the message is its own.
        """
        self._plan.must(self._context.execute_async_v3(self._stream.handle), "execute_async_v3")

    def describe(self) -> str:
        """Return the inspector's JSON for this shape."""
        inspector = self._plan.engine.create_engine_inspector()
        inspector.execution_context = self._context
        return inspector.get_engine_information(self._plan.library.api.LayerInformationFormat.JSON)


def _lean_library() -> Path:
    for package in _LEAN:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if found := sorted(Path(folder).glob("libnvinfer_lean.so*")):
                return found[-1]
    raise MissingError(
        f"unavailable: this plan needs TensorRT's lean runtime: pip install tensorrt-lean, or "
        f"convert without the recipe's `lean` ({INSTALL})"
    )
