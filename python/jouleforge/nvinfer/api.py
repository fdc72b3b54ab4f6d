"""The part of TensorRT's Python interface that we use, as types.

TensorRT ships no types. With these, mypy holds us to exactly this part, and a test compares it with
the real bindings: every name and every argument has to exist there.
"""

from collections.abc import Sequence
from typing import Any, Protocol

Shape = tuple[int, ...]


class BuilderFlag(Protocol):
    """Flags of a build."""

    TF32: Any
    VERSION_COMPATIBLE: Any
    EXCLUDE_LEAN_RUNTIME: Any


class ProfilingVerbosity(Protocol):
    """How much a plan says about itself."""

    DETAILED: Any


class LayerInformationFormat(Protocol):
    """Form of the inspector's answer."""

    JSON: Any


class ExecutionContextAllocationStrategy(Protocol):
    """Who provides a context's working memory."""

    USER_MANAGED: Any


class IHostMemory(Protocol):
    """A buffer of TensorRT's; `bytes()` copies it."""

    nbytes: int

    def __buffer__(self, flags: int, /) -> memoryview:
        """Give the memory."""
        ...


class ITensor(Protocol):
    """A tensor of a network."""

    name: str
    dtype: Any
    shape: Sequence[int]


class INetworkDefinition(Protocol):
    """What a parser fills and a builder compiles."""

    num_inputs: int
    num_outputs: int

    def get_input(self, index: int) -> ITensor:
        """Return an input."""
        ...

    def get_output(self, index: int) -> ITensor:
        """Return an output."""
        ...


class ParserError(Protocol):
    """One thing the parser did not understand."""

    def desc(self) -> str:
        """Return the message."""
        ...

    def node_name(self) -> str:
        """Return the name of the ONNX node."""
        ...

    def node_operator(self) -> str:
        """Return the operator of the ONNX node."""
        ...


class OnnxParser(Protocol):
    """Reads ONNX into a network."""

    num_errors: int

    def parse(self, model: bytes) -> bool:
        """Read a serialised model; False if there were errors."""
        ...

    def get_error(self, index: int) -> ParserError:
        """Return one of the errors."""
        ...


class IOptimizationProfile(Protocol):
    """A range of shapes to compile for."""

    def set_shape(self, input: str, min: Shape, opt: Shape, max: Shape) -> None:
        """Set the range of one input."""
        ...


class ITimingCache(Protocol):
    """What the builder measured of kernels."""

    def serialize(self) -> IHostMemory:
        """Return it in a form for a file."""
        ...


class IBuilderConfig(Protocol):
    """How to build."""

    profiling_verbosity: Any

    def set_flag(self, flag: Any) -> None:
        """Set a flag."""
        ...

    def clear_flag(self, flag: Any) -> None:
        """Clear a flag."""
        ...

    def get_flag(self, flag: Any) -> bool:
        """Return whether a flag is set."""
        ...

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Add a range of shapes; return its index, or -1."""
        ...

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        """Return a cache with this content; it may be empty."""
        ...

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Use a cache for this build."""
        ...

    def get_timing_cache(self) -> ITimingCache:
        """Return the cache in use."""
        ...


class Builder(Protocol):
    """Compiles a network."""

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        """Return an empty network."""
        ...

    def create_builder_config(self) -> IBuilderConfig:
        """Return the default configuration."""
        ...

    def create_optimization_profile(self) -> IOptimizationProfile:
        """Return an empty range of shapes."""
        ...

    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None:
        """Return a plan; None on failure, for a reason that only the log holds."""
        ...


class IExecutionContext(Protocol):
    """One stream of executions of a plan, with its own shapes and addresses."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Choose the range of shapes."""
        ...

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        """Set the shape of an input."""
        ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """Return a shape; -1 where it is not known yet."""
        ...

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Set where a tensor lies on the GPU."""
        ...

    def set_device_memory(self, memory: int, size: int) -> None:
        """Give a context its working memory."""
        ...

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Queue one execution."""
        ...


class EngineInspector(Protocol):
    """Says what a plan consists of."""

    execution_context: IExecutionContext

    def get_engine_information(self, format: Any) -> str:
        """Return a description of all layers."""
        ...


class ICudaEngine(Protocol):
    """A plan, ready on a GPU."""

    num_optimization_profiles: int
    device_memory_size_v2: int

    def create_execution_context(self, strategy: Any) -> IExecutionContext | None:
        """Return a context; None on failure."""
        ...

    def create_engine_inspector(self) -> EngineInspector:
        """Return an inspector of this plan."""
        ...


class Runtime(Protocol):
    """Reads plans."""

    engine_host_code_allowed: bool

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """Return the plan on the GPU; None on failure."""
        ...

    def load_runtime(self, path: str) -> "Runtime | None":
        """Return the runtime of another library, such as the lean one."""
        ...


class Api(Protocol):
    """The module itself."""

    __version__: str
    ILogger: Any
    BuilderFlag: BuilderFlag
    ProfilingVerbosity: ProfilingVerbosity
    LayerInformationFormat: LayerInformationFormat
    ExecutionContextAllocationStrategy: ExecutionContextAllocationStrategy

    def Builder(self, logger: Any) -> Builder:
        """Return a builder."""
        ...

    def OnnxParser(self, network: INetworkDefinition, logger: Any) -> OnnxParser:
        """Return a parser that fills this network."""
        ...

    def Runtime(self, logger: Any) -> Runtime:
        """Return a runtime."""
        ...
