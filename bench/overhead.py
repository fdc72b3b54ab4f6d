"""What the harness itself costs: its empty loop, and one small inference beside Python's API.

The same model runs three ways in one process, in short blocks in random order: through the native
harness, through `InferenceSession.run`, and through Python's `run_with_iobinding`. A small model
shows the difference best: it is a constant per call.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from jouleforge._core import CallableRunner, NullRunner, OrtRunner, Runner, run_closed_loop

TOKENS = 8
NATIVE, RUN, BINDING = "harness", "InferenceSession.run", "run_with_iobinding"

Arrays = dict[str, NDArray[Any]]
Block = Callable[[int], NDArray[np.int64]]
"""Runs a model so many times, and returns the time of each run in ns."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What was measured; times are medians."""

    onnxruntime: str
    model: str
    threads: int
    blocks: int
    runs_per_block: int
    null_loop_ns: float
    callable_loop_ns: float
    median_ns: dict[str, float]
    ratio_to_harness: dict[str, float]
    """Median over the blocks of the ratio of block medians."""


def native_block(runner: Runner) -> Block:
    """Return a block that the harness times."""

    def block(runs: int) -> NDArray[np.int64]:
        trace = run_closed_loop(runner, order=[0], warmup_s=0, duration_s=0, min_passes=runs)
        stamps_ns = trace.stamps_ns
        return stamps_ns[1:] - stamps_ns[:-1]

    return block


def python_block(step: Callable[[], object]) -> Block:
    """Return a block that Python times, as lightly as it can."""

    def block(runs: int) -> NDArray[np.int64]:
        clock = time.perf_counter_ns
        stamps = [0] * (runs + 1)
        step()
        stamps[0] = clock()
        for index in range(runs):
            step()
            stamps[index + 1] = clock()
        stamps_ns = np.array(stamps, np.int64)
        return stamps_ns[1:] - stamps_ns[:-1]

    return block


def median_of_loop(runner: Runner) -> float:
    """Return the median time of a run in ns."""
    trace = run_closed_loop(runner, order=[0] * 1000, warmup_s=0.1, duration_s=0.3, min_passes=1)
    return float(np.median(np.diff(trace.stamps_ns)))


def library() -> Path:
    """Return the shared library of the installed wheel."""
    return max(Path(ort.__file__).parent.glob("capi/libonnxruntime.so.*"))


def make_inputs(session: ort.InferenceSession) -> Arrays:
    """Return one sentence: `TOKENS` tokens, none of them padding."""
    inputs = {}
    for spec in session.get_inputs():
        first, *others = (size if isinstance(size, int) else None for size in spec.shape)
        shape = (first or 1, *(size or TOKENS for size in others))
        dtype = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}.get(spec.type, np.float32)
        if "mask" in spec.name:
            inputs[spec.name] = np.ones(shape, dtype)
        elif "type" in spec.name:
            inputs[spec.name] = np.zeros(shape, dtype)
        else:
            inputs[spec.name] = np.broadcast_to(np.arange(shape[-1]) + 1, shape).astype(dtype)
    return inputs


def make_blocks(model: Path, threads: int) -> dict[str, Block]:
    """Return one block for each way to run the model; all of them give the same outputs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = make_inputs(session)
    names = [spec.name for spec in session.get_outputs()]
    expected: list[NDArray[Any]] = session.run(names, inputs)

    runner = OrtRunner(library(), model, threads=threads)
    written = {name: np.empty_like(array) for name, array in zip(names, expected, strict=True)}
    runner.prepare([(inputs, written)])
    runner.run(0)

    binding = session.io_binding()
    bound = [np.empty_like(array) for array in expected]
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for name, array in zip(names, bound, strict=True):
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)
    for name, array, other in zip(names, expected, bound, strict=True):
        np.testing.assert_allclose(written[name], array, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other, array, rtol=1e-5, atol=1e-6)
    return {
        NATIVE: native_block(runner),
        RUN: python_block(lambda: session.run(names, inputs)),
        BINDING: python_block(lambda: session.run_with_iobinding(binding)),
    }


def measure(model: Path, *, name: str, threads: int, blocks: int, runs: int) -> Overhead:
    """Run all ways in interleaved blocks, and return the medians."""
    ways = make_blocks(model, threads)
    for block in ways.values():
        block(runs)
    shuffle = random.Random(0)
    times: dict[str, list[NDArray[np.int64]]] = {way: [] for way in ways}
    for _ in range(blocks):
        for way in shuffle.sample(sorted(ways), len(ways)):
            times[way].append(ways[way](runs))
    medians = {way: np.median(np.stack(blocks_), axis=1) for way, blocks_ in times.items()}
    return Overhead(
        onnxruntime=ort.__version__,
        model=name,
        threads=threads,
        blocks=blocks,
        runs_per_block=runs,
        null_loop_ns=median_of_loop(NullRunner(1)),
        callable_loop_ns=median_of_loop(CallableRunner(lambda _: None, 1)),
        median_ns={way: float(np.median(np.concatenate(times[way]))) for way in ways},
        ratio_to_harness={way: float(np.median(medians[way] / medians[NATIVE])) for way in ways},
    )


def show(found: Overhead) -> str:
    """Return the report as text."""
    lines = [
        f"empty loop             {found.null_loop_ns:8.0f} ns per run",
        f"empty Python callable  {found.callable_loop_ns:8.0f} ns per run",
        "",
        f"{found.model}, onnxruntime {found.onnxruntime}, batch 1, {TOKENS} tokens, "
        f"{found.threads} thread(s), {found.blocks} blocks of {found.runs_per_block} runs",
    ]
    for way, median_ns in found.median_ns.items():
        ratio = found.ratio_to_harness[way]
        lines.append(f"{way:22s} {median_ns / 1000:8.1f} us median, {ratio:.3f} x the harness")
    return "\n".join(lines)


class _Graph:
    """Nodes and weights of a BERT-shaped encoder, so that no checkpoint is needed."""

    def __init__(self, *, vocabulary: int, width: int, heads: int) -> None:
        self.vocabulary, self.width, self.heads = vocabulary, width, heads
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(0)

    def weight(self, *shape: int) -> str:
        """Add a random weight, and return its name."""
        return self.constant(self._random.normal(0, 0.05, shape).astype(np.float32))

    def constant(self, array: NDArray[Any]) -> str:
        """Add an initializer, and return its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        output = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def linear(self, x: str, size_in: int, size_out: int) -> str:
        """Add a fully connected layer."""
        product = self.node("MatMul", x, self.weight(size_in, size_out))
        return self.node("Add", product, self.weight(size_out))

    def normalized_sum(self, x: str, y: str) -> str:
        """Add a residual connection and a layer norm."""
        total = self.node("Add", x, y)
        scale = self.constant(np.ones(self.width, np.float32))
        return self.node("LayerNormalization", total, scale, self.weight(self.width), axis=-1)

    def split_heads(self, x: str, *, order: list[int]) -> str:
        """Add the reshape and transpose that bring the heads forward."""
        shape = self.constant(np.array([0, 0, self.heads, self.width // self.heads]))
        return self.node("Transpose", self.node("Reshape", x, shape), perm=order)

    def layer(self, x: str) -> str:
        """Add one encoder layer."""
        query, key, value = (self.linear(x, self.width, self.width) for _ in range(3))
        scores = self.node(
            "MatMul",
            self.split_heads(query, order=[0, 2, 1, 3]),
            self.split_heads(key, order=[0, 2, 3, 1]),
        )
        weights = self.node("Softmax", scores, axis=-1)
        mixed = self.node("MatMul", weights, self.split_heads(value, order=[0, 2, 1, 3]))
        joined = self.node(
            "Reshape",
            self.node("Transpose", mixed, perm=[0, 2, 1, 3]),
            self.constant(np.array([0, 0, self.width])),
        )
        x = self.normalized_sum(x, self.linear(joined, self.width, self.width))
        inner = self.node("Relu", self.linear(x, self.width, 4 * self.width))
        return self.normalized_sum(x, self.linear(inner, 4 * self.width, self.width))


def write_model(path: Path) -> None:
    """Write a BERT-shaped encoder of 2 layers and 128 columns with a head of 2 labels."""
    graph = _Graph(vocabulary=1000, width=128, heads=2)
    x = graph.node("Gather", graph.weight(graph.vocabulary, graph.width), "input_ids")
    for _ in range(2):
        x = graph.layer(x)
    first = graph.node("Gather", x, graph.constant(np.array(0)), axis=1)
    logits = graph.linear(first, graph.width, 2)
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, ["batch", 2])],
        graph.weights,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), path)


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, found {number}")
    return number


def main() -> None:
    """Parse the command line, measure, print."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest)
    parser.add_argument("--engine", type=Path, help="folder with model.onnx; else one is made")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--blocks", type=positive, default=30)
    parser.add_argument("--runs", type=positive, default=200, help="runs per block")
    parser.add_argument("--json", type=Path, help="write the result here too")
    given = parser.parse_args()
    if given.engine is not None and not (given.engine / "model.onnx").is_file():
        parser.error(f"--engine: expected a folder with model.onnx, found none in {given.engine}")
    with tempfile.TemporaryDirectory() as folder:
        model, name = Path(folder, "model.onnx"), "encoder of 2 layers x 128"
        if given.engine is None:
            write_model(model)
        else:
            model, name = given.engine / "model.onnx", given.engine.resolve().name
        found = measure(
            model, name=name, threads=given.threads, blocks=given.blocks, runs=given.runs
        )
    print(show(found))
    if given.json is not None:
        given.json.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
