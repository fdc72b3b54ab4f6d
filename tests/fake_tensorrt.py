"""A TensorRT whose one plan is a kernel of the fake driver, and which is strict about the order.

It refuses what the real one does not promise to work: an execution without working memory, shapes
or addresses, a shape outside the profile, and a capture before the first execution in a shape.
"""

import json
from types import SimpleNamespace
from typing import Any

from fake_driver import FakeDriver

from jouleforge.nvinfer import Library
from jouleforge.nvinfer.record import BuildRecord, Profile

PLAN = b"the one plan"
LABELS = 3
INPUTS = ("input_ids", "attention_mask")
RECORD = BuildRecord(
    library="tensorrt",
    version="11.4.0.106",
    gpu="Fake GPU",
    compute_capability=(9, 0),
    driver=None,
    tf32=False,
    version_compatible=False,
    lean=False,
    inputs=INPUTS,
    profiles=(
        Profile(smallest=(1, 1), best=(4, 8), largest=(4, 8)),
        Profile(smallest=(1, 9), best=(4, 16), largest=(4, 16)),
    ),
    products=(),
    attention_recognised=True,
    layers=(),
    layers_from="build log",
    log=(),
)


class Logger:
    def log(self, severity: int, text: str) -> None:
        raise NotImplementedError


class Context:
    def __init__(self, driver: FakeDriver, logger: Logger) -> None:
        self._driver, self._logger = driver, logger
        self._profile = -1
        self._memory = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._executed = False

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle
        self._profile = profile_index
        return True

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size == 1000
        self._memory = memory

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        fits = RECORD.profiles[self._profile].takes(*shape)
        if fits:
            self._shapes[name] = shape
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == "logits"
        return (self._shapes["input_ids"][0], LABELS) if "input_ids" in self._shapes else (-1, 3)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        complete = self._memory and set(self._addresses) == {*INPUTS, "logits"}
        if not complete or set(self._shapes) != set(INPUTS):
            self._logger.log(1, "not everything is bound")
            return False
        if self._driver.captures and not self._executed:
            self._logger.log(1, "the first execution cannot be captured")
            return False
        self._executed = True
        ids, mask, out = (self._addresses[name] for name in (*INPUTS, "logits"))
        self._driver.kernel(stream_handle, ids, mask, out, (*self._shapes["input_ids"], LABELS))  # type: ignore[arg-type]
        return True


class Inspector:
    """Describes the layers of every profile, whichever context is set, as TensorRT 11 does."""

    execution_context: Context

    def get_engine_information(self, format: object) -> str:
        assert format == "json"
        assert self.execution_context._shapes
        layers = [
            {
                "Name": f"node{mark}_myl{number}_0",
                "LayerType": "gemm",
                "Inputs": [{"Name": "x", "Datatype": "Half", "Format": "(Linear)"}],
                "TacticName": "sm90_xmma_gemm",
                "Metadata": "[ONNX Layer: node]",
            }
            for number, mark in enumerate(("", " [profile 1]"))
        ]
        return json.dumps({"Layers": layers})


def library(driver: FakeDriver) -> Library:
    """Return the library, executing on this driver."""

    class Engine:
        device_memory_size_v2 = 1000
        num_optimization_profiles = len(RECORD.profiles)

        def __init__(self, logger: Logger) -> None:
            self._logger = logger

        def create_engine_inspector(self) -> Inspector:
            return Inspector()

        def create_execution_context(self, strategy: object) -> Context:
            assert strategy == "user managed"
            return Context(driver, self._logger)

    class Runtime:
        def __init__(self, logger: Logger) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            if serialized_engine == PLAN:
                return Engine(self._logger)
            self._logger.log(1, "the plan was built for another version")
            return None

    api: Any = SimpleNamespace(
        __version__=RECORD.version,
        ILogger=Logger,
        Runtime=Runtime,
        LayerInformationFormat=SimpleNamespace(JSON="json"),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
    )
    return Library(api=api, name="tensorrt")
