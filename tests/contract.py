"""Our types of TensorRT's interface, compared with a real module by its docstrings."""

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from jouleforge.nvinfer import api

# Gone in TensorRT 11, by where they were.
REMOVED = {
    "BuilderFlag": ("FP16", "BF16", "INT8", "FP8", "OBEY_PRECISION_CONSTRAINTS"),
    "NetworkDefinitionCreationFlag": ("EXPLICIT_BATCH",),
    "IBuilderConfig": ("int8_calibrator", "algorithm_selector", "max_workspace_size"),
    "Builder": ("platform_has_fast_fp16", "platform_has_fast_int8", "build_engine"),
    "ILayer": ("set_output_type", "precision"),
    "ITensor": ("dynamic_range", "set_dynamic_range"),
    "ICudaEngine": ("num_bindings", "device_memory_size", "max_batch_size", "get_binding_name"),
    "IExecutionContext": ("execute_async_v2", "set_binding_shape"),
}


def mismatches(module: Any) -> list[str]:
    """Return what of ours this module does not have, or has otherwise."""
    return [text for ours in _protocols() for text in _compared(ours, module)]


def _protocols() -> Iterator[type]:
    for value in vars(api).values():
        if inspect.isclass(value) and value.__module__ == api.__name__:
            yield value


def _compared(ours: type, module: Any) -> Iterator[str]:
    theirs = module if ours is api.Api else getattr(module, ours.__name__, None)
    if theirs is None:
        yield f"there is no {ours.__name__}"
        return
    for name in ours.__annotations__:
        if not hasattr(theirs, name):
            yield f"{ours.__name__} has no {name}"
    for name, function in vars(ours).items():
        if inspect.isfunction(function) and not name.startswith("_"):
            yield from _compared_call(f"{ours.__name__}.{name}", function, theirs)


def _compared_call(where: str, function: Any, theirs: Any) -> Iterator[str]:
    name = where.rpartition(".")[2]
    found = getattr(theirs, name, None)
    if found is None:
        yield f"{where} is not there"
        return
    if inspect.isclass(found):
        found = found.__init__
    wanted = list(inspect.signature(function).parameters)[1:]
    overloads = _signatures(inspect.getdoc(found) or "")
    if not any(_accepts(overload, wanted) for overload in overloads):
        yield f"{where}({', '.join(wanted)}) is not one of {overloads}"


def _signatures(doc: str) -> list[list[str]]:
    """Return the parameters of each overload, as pybind11 writes them: "name: type = default"."""
    found = re.findall(r"^(?:\d+\. )?\w+\((.*)\)(?: ->.*)?$", doc, flags=re.MULTILINE)
    parts = (re.split(r", (?=\w+: )", text) for text in found)
    return [[part for part in one if part and not part.startswith("self")] for one in parts]


def _accepts(parameters: list[str], wanted: list[str]) -> bool:
    names = [part.split(":")[0] for part in parameters]
    rest = parameters[len(wanted) :]
    return names[: len(wanted)] == wanted and all(" = " in part for part in rest)


def still_there(module: Any) -> list[str]:
    """Return which of the removed names this module has after all."""
    return [
        f"{owner}.{name}"
        for owner, names in REMOVED.items()
        for name in names
        if hasattr(getattr(module, owner, None), name)
    ]


if __name__ == "__main__":
    import json

    import tensorrt_bindings  # type: ignore[import-not-found]

    module = tensorrt_bindings
    report = [module.__version__, mismatches(module), still_there(module)]
    json.dump(report, sys.stdout)
