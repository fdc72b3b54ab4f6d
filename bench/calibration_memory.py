"""Memory of calibration: what 512 rows of 128 tokens on a BERT-base add to the graph itself.

The rows are random token ids, for memory does not depend on what they say. Each stage reports the
process's peak so far, so the last less the first is what observing took.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from models import VOCABULARY, write_model

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import calibration, storage
from jouleforge.converters.export import export
from jouleforge.converters.precision.qdq import quantized_tensors
from jouleforge.modeling import load_model

NAMES = ("input_ids", "attention_mask", "token_type_ids")
BATCH = 8


def peak_bytes() -> int:
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_graph(file: Path) -> None:
    """Export a BERT-base of random weights."""
    with tempfile.TemporaryDirectory() as scratch:
        write_model(Path(scratch))
        model = load_model(Checkpoint.load(scratch), attention="eager")
        storage.save(export(model, flavour="plain", inputs=NAMES, max_length=512), file)


def main() -> None:
    """Export in one process, and observe in another, so that only that is left to be seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--graph", type=Path, help="graph to observe; without it one is made")
    options = parser.parse_args()
    if options.graph is None:
        raise SystemExit("make a graph first: python bench/calibration_memory.py --graph FILE")
    if not options.graph.exists():
        write_graph(options.graph)
        print(f"wrote {options.graph}; run it again to observe")
        return
    result = observed(options.graph, rows=options.rows, tokens=options.tokens)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def observed(file: Path, *, rows: int, tokens: int) -> dict[str, float]:
    """Return what calibrating a graph on random rows took, in bytes and seconds."""
    graph = onnx.load(file)
    loaded = peak_bytes()
    random = np.random.default_rng(0)
    shape = (BATCH, tokens)
    batches = (
        {
            "input_ids": random.integers(5, VOCABULARY, shape),
            "attention_mask": np.ones(shape, np.int64),
            "token_type_ids": np.zeros(shape, np.int64),
        }
        for _ in range(rows // BATCH)
    )
    started = time.monotonic()
    tensors = quantized_tensors(ir.from_proto(graph).graph)
    seen = calibration.observe(graph, tensors, batches)
    for collector in calibration.COLLECTORS:
        calibration.ranges(seen, collector)
    return {
        "rows": rows,
        "tokens": tokens,
        "tensors": len(tensors),
        "seconds": time.monotonic() - started,
        "graph_bytes": file.stat().st_size,
        "peak_with_graph_loaded_bytes": loaded,
        "peak_bytes": peak_bytes(),
        "added_bytes": peak_bytes() - loaded,
    }


if __name__ == "__main__":
    main()
