"""Steps of `bench/gpu/run.sh`: each prints one JSON object last, and exits with 3 if it cannot run.

Models are random and tiny, or random of BERT-base's size: they show that things work and how fast,
and nothing about accuracy.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import meter_steps

from jouleforge import cuda, energy, nvinfer
from jouleforge.errors import GateError, JouleforgeError, MissingError
from jouleforge.measurement import Schedule

Facts = dict[str, Any]


def driver() -> Facts:
    """The driver through our own declarations: memory, a stream, copies there and back."""
    device = cuda.Device()
    stream = device.stream()
    sent = np.arange(1_000_000, dtype=np.int64)
    received = np.zeros_like(sent)
    memory = device.allocate(sent.nbytes)
    stream.copy_in(memory, sent)
    stream.copy_out(received, memory)
    stream.synchronize()
    assert (received == sent).all(), "what was copied back is not what was copied in"
    return {"gpu": str(cuda.gpu())}


def energy_counter() -> Facts:
    """NVML's energy counter over ten seconds of matrix products, and all that it showed."""
    import torch

    if reason := energy.problem("nvml"):
        raise MissingError(reason)
    source = energy.open_source("nvml", device="gpu")
    factor = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    torch.cuda.synchronize()
    lasts_s = 10 + source.lead_s
    end = time.monotonic() + lasts_s
    source.start(lasts_s=lasts_s)
    while time.monotonic() < end:
        for _ in range(10):
            factor @ factor
        torch.cuda.synchronize()
    readings = source.stop()
    joules = [reading.joules for reading in readings]
    assert all(value is not None and value > 0 for value in joules), [r.reason for r in readings]
    return {"readings": [reading.model_dump() for reading in readings]}


def captured() -> Facts:
    """PyTorch of BERT-base's size, called from Python and as a graph that our runner launches."""
    import torch

    from jouleforge._core import CallableRunner, CudaGraphRunner

    cuda.require()
    if not torch.cuda.is_available():
        raise MissingError("this PyTorch is built without CUDA")
    forward, ids, host = _forward()
    expected = forward().cpu().numpy()
    graph, stream, output = _capture(forward)
    answers: NDArray[np.float32] = np.full(expected.shape, np.nan, dtype=np.float32)
    runner = CudaGraphRunner(stream=stream.cuda_stream)
    copies_in = [(ids.data_ptr(), host)]
    runner.prepare(
        [(graph.raw_cuda_graph_exec(), copies_in, [(output.data_ptr(), answers)])],
        owner=(graph, ids, output),
    )
    runner.run(0)
    error = float(np.abs(answers - expected).max())
    assert error < 1e-2, f"the launched graph answers otherwise: {error}"

    def call(_: int) -> None:
        ids.copy_(torch.from_numpy(host))
        forward().cpu()

    return {
        "largest_error": error,
        "called_ms": _median_ms(CallableRunner(call, 1)),
        "launched_ms": _median_ms(runner),
    }


def _forward() -> tuple[Callable[[], Any], Any, NDArray[np.int64]]:
    """Return a model's call on the GPU, the tensor it reads, and what that holds."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    model = BertForSequenceClassification(BertConfig()).eval().to("cuda", torch.float16)
    host = np.random.default_rng(0).integers(1, 30000, (32, 128))
    ids = torch.from_numpy(host).to("cuda")

    @torch.inference_mode()
    def forward() -> torch.Tensor:
        # A mask would be looked at on the processor, which cannot be captured.
        logits: torch.Tensor = model(input_ids=ids).logits.float()
        return logits

    return forward, ids, host


def _capture(forward: Callable[[], Any]) -> tuple[Any, Any, Any]:
    """Return a call as a graph, the stream it was captured on, and the tensor it writes."""
    import torch

    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        forward()
    stream.synchronize()
    with torch.cuda.graph(graph, stream=stream):
        output = forward()
    return graph, stream, output


def rtx() -> Facts:
    """A plan of TensorRT-RTX, built without this GPU: whether it is valid here, and runs."""
    library = nvinfer.load(nvinfer.RTX)
    device = cuda.Device()
    facts: Facts = {}
    for precision in ("fp32", "fp16"):
        plan, inputs, expected = _tiny_plan(library, precision)
        log = nvinfer.Log()
        runtime: Any = library.api.Runtime(log.logger(library))
        validity, diagnostics = runtime.get_engine_validity(plan.data)
        members = cast(Any, library.api).EngineInvalidityDiagnostics.__members__.items()
        reasons = [name for name, member in members if int(diagnostics) & int(member)]
        facts[precision] = {"validity": str(validity), "diagnostics": reasons}
        if "INVALID" in str(validity):
            print("\n".join(message.text for message in log.messages))
            continue
        error = _session_error(plan, library, device, inputs, expected)
        facts[precision]["largest_error"] = error
    return facts


def tensorrt() -> Facts:
    """A conversion for the target trt from end to end, in every float precision."""
    from checkpoints import save_checkpoint

    from jouleforge import runners
    from jouleforge.converters import convert
    from jouleforge.recipe import Recipe

    nvinfer.load_full()
    facts: Facts = {}
    with tempfile.TemporaryDirectory() as scratch:
        save_checkpoint(Path(scratch) / "bert", "bert")
        for precision in ("fp32", "fp16", "bf16"):
            recipe = Recipe.model_validate({"target": "trt", "precision": precision})
            engine = convert(Path(scratch) / "bert", recipe, Path(scratch) / precision)
            session = runners.load(engine, threads=1)
            found = engine.manifest.audit
            facts[precision] = {
                "runtime": session.runtime,
                "largest_error": engine.manifest.parity[-1].max_abs_error,
                "shares": found.shares,
                "fused_attentions": found.fused_attentions,
            }
    return facts


def study() -> Facts:
    """A small study from end to end: two precisions of TensorRT in blocks, and the joules."""
    from checkpoints import save_checkpoint
    from tasks import write_task

    from jouleforge.comparison import compare
    from jouleforge.reports import markdown
    from jouleforge.studies import run_study
    from jouleforge.study_file import Cell, Study

    nvinfer.load_full()
    out = Path(os.environ.get("OUT", "."))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sizes = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
        save_checkpoint(folder / "bert", "bert", num_hidden_layers=6, **sizes)
        task = write_task(folder, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=600)
        precisions = ("fp32", "fp16")
        made = Study(
            name="gpu", checkpoint=str(folder / "bert"), task=str(task),
            repeats=2, aa=False, extend=False,
            cells=tuple(Cell(target="trt", precision=name) for name in precisions),
            schedule=Schedule(warmup_s=1.0, duration_s=5.0, idle_s=5.0),
        )  # fmt: skip
        result = run_study(made, folder / "out")
    if not result.measurements:
        raise GateError(f"no row: {[failure.reason for failure in result.failures]}")
    lines = [row.model_dump_json() for row in result.measurements]
    (out / "study.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = compare(result.measurements)
    (out / "study.md").write_text(markdown.render(found), encoding="utf-8")
    return {
        "rows": len(lines),
        "failures": [failure.reason for failure in result.failures],
        "joules_per_example": {
            row.label: row.energy.per_example_j.value if row.energy else row.energy_reason
            for row in found.rows
        },
    }


def _tiny_plan(
    library: nvinfer.Library, precision: str
) -> tuple[Any, dict[str, NDArray[np.int64]], Any]:
    from checkpoints import save_checkpoint

    from jouleforge.checkpoint import Checkpoint
    from jouleforge.converters.export import export
    from jouleforge.converters.parity import module_logits
    from jouleforge.converters.plan.build import build
    from jouleforge.converters.precision import to_float
    from jouleforge.modeling import load_model
    from jouleforge.recipe import Recipe

    with tempfile.TemporaryDirectory() as scratch:
        # Fused attention kernels want a head of at least 16.
        save_checkpoint(Path(scratch), "bert", hidden_size=64, num_attention_heads=2)
        model = load_model(Checkpoint.load(scratch), attention="eager")
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = export(model, flavour="plain", inputs=names, max_length=64)
    if precision == "fp16":
        graph = to_float(graph, "fp16")
    ids = np.random.default_rng(0).integers(4, 90, (3, 20))
    inputs = {name: np.zeros_like(ids) for name in names} | {"input_ids": ids}
    inputs["attention_mask"][:, :15] = 1
    recipe = Recipe(target="trt", flavour="plain", max_length=64, max_batch=8)
    return build(graph, recipe, library), inputs, module_logits(model, inputs)


def _session_error(plan: Any, library: Any, device: Any, inputs: Any, expected: Any) -> float:
    from jouleforge.runners.trt import Session

    answers = np.full(expected.shape, np.nan, dtype=np.float32)
    session = Session(plan.data, plan.record, library, device)
    session.prepare([inputs], [answers]).run(0)
    return float(np.abs(answers - expected).max())


def _median_ms(runner: Any) -> float:
    from jouleforge._core import run_closed_loop

    trace = run_closed_loop(runner, order=[0], warmup_s=1.0, duration_s=3.0, min_passes=10)
    return float(np.median(np.diff(trace.stamps_ns))) / 1e6


STEPS: dict[str, Callable[[], Facts]] = {
    "driver": driver,
    "energy": energy_counter,
    "captured": captured,
    "rtx": rtx,
    "tensorrt": tensorrt,
    "study": study,
    **meter_steps.STEPS,
}


def main() -> int:
    """Run the step that is named, and return its exit status.

    What it found goes to NAME.json in $OUT; what is too long for a line, `raw`, goes there alone.
    """
    name = sys.argv[1]
    try:
        facts = STEPS[name]()
    except JouleforgeError as error:
        print(json.dumps(str(error)))
        return error.exit_code
    if "OUT" in os.environ:
        Path(os.environ["OUT"], f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
    print(json.dumps({key: value for key, value in facts.items() if key != "raw"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
