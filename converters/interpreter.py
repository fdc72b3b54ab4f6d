"""Interpreter: graphs run by ONNX Runtime on the CPU; every target is checked from there."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from jouleforge.converters.parity import Answer, Inputs, Logits
from jouleforge.errors import GateError

_CPU = "CPUExecutionProvider"

Watch = Callable[[Inputs], list[NDArray[np.float32]]]


def answer(
    source: onnx.ModelProto | Path,
    *,
    provider: str = _CPU,
    entries: Mapping[str, str] | None = None,
) -> Answer:
    """Return a function from inputs to logits.

    Args:
        source: A graph, or the file of one.
        provider: What executes it, by ONNX Runtime's name.
        entries: Configuration of the session.
    """
    session = _session(source, optimize=True, provider=provider, entries=entries or {})

    def run(inputs: Inputs) -> Logits:
        (logits,) = _run(session, ["logits"], inputs)
        return logits

    return run


class Profiled:
    """A session that answers, and whose first run was profiled.

    The profiler is off from the second run on. So one session can be checked and audited, where
    two would take twice the memory and the time.
    """

    def __init__(self, file: Path, *, provider: str, entries: Mapping[str, str]) -> None:
        """Open a graph's file; the arguments are those of `answer`."""
        self._scratch = tempfile.TemporaryDirectory()
        self._session = _session(
            file, optimize=True, provider=provider, entries=entries, profile=self._scratch.name
        )
        self._events: list[dict[str, Any]] | None = None

    def __call__(self, inputs: Inputs) -> Logits:
        """Return the logits, and keep the profile if this is the first run."""
        (logits,) = _run(self._session, ["logits"], inputs)
        if self._events is None:
            with self._scratch:
                text = Path(self._session.end_profiling()).read_text(encoding="utf-8")
            self._events = json.loads(text)
        return logits

    def kernels(self) -> list[dict[str, Any]]:
        """Return the entries of the kernels that the first run executed, in order."""
        assert self._events is not None, "nothing has been run"
        return [event for event in self._events if event["name"].endswith("_kernel_time")]


def watch(graph: onnx.ModelProto, tensors: Sequence[str]) -> Watch:
    """Return a function from inputs to the values of inner tensors, as float32.

    The graph is run as it is written, so that every tensor exists and has the type it says. A
    tensor that the graph does not have is given as an empty array.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    made = {name for node in graph.graph.node for name in node.output}
    present = [name for name in tensors if name in made]
    outputs = {value.name for value in watched.graph.output}
    watched.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in present if name not in outputs
    )
    session = _session(watched, optimize=False, provider=_CPU, entries={})

    def run(inputs: Inputs) -> list[NDArray[np.float32]]:
        found = dict(zip(present, _run(session, present, inputs), strict=True))
        nothing = np.zeros(0, np.float32)
        return [np.asarray(found.get(name, nothing), dtype=np.float32) for name in tensors]

    return run


def _session(
    source: onnx.ModelProto | Path,
    *,
    optimize: bool,
    provider: str,
    entries: Mapping[str, str],
    profile: str = "",
) -> onnxruntime.InferenceSession:
    """Open a session; with `profile` it writes its profile into that folder."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(profile, "run"))
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            str(source) if isinstance(source, Path) else source.SerializeToString(),
            options,
            providers=[provider],
        )
    # onnxruntime's exceptions have no common base but Exception itself.
    except Exception as error:
        raise GateError(f"ONNX Runtime does not load the graph: {error}") from error


def _run(
    session: onnxruntime.InferenceSession, names: list[str], inputs: Inputs
) -> list[NDArray[np.float32]]:
    try:
        values: list[NDArray[np.float32]] = session.run(names, inputs)
    except Exception as error:
        raise GateError(f"ONNX Runtime failed to run the graph: {error}") from error
    return values
