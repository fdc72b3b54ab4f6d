"""Make one ONNX folder of a checkpoint as optimum-onnx's documentation tells its users to.

Runs in an environment of its own (requirements.txt). `optimum-O2` is the export with ORTOptimizer's
level O2, `optimum-int8` the export after the dynamic quantisation of ORTQuantizer with its
avx512_vnni configuration, the one for processors with VNNI; of O2's graph it fails with this
onnxruntime. `onnxruntime-int8` takes no part of optimum but the export: onnxruntime's own
transformer optimizer, then its own `quantize_dynamic`, per channel.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model
from optimum.onnxruntime import ORTModelForSequenceClassification, ORTOptimizer, ORTQuantizer
from optimum.onnxruntime.configuration import AutoOptimizationConfig, AutoQuantizationConfig
from transformers import AutoTokenizer

NAMES = ("optimum", "optimum-O2", "optimum-int8", "onnxruntime-int8")
GRAPH = "model.onnx"


def export(checkpoint: Path, out: Path) -> Path:
    """Write the plain export and its tokenizer, and return the graph."""
    ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True).save_pretrained(out)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(out)
    return out / GRAPH


def optimize(graph: Path, out: Path) -> Path:
    """Fuse at level O2, and return the new graph."""
    ORTOptimizer.from_pretrained(graph.parent).optimize(AutoOptimizationConfig.O2(), save_dir=out)
    return out / "model_optimized.onnx"


def quantize(graph: Path, out: Path) -> Path:
    """Quantise dynamically, and return the new graph."""
    config = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    quantizer = ORTQuantizer.from_pretrained(graph.parent, file_name=graph.name)
    return Path(quantizer.quantize(quantization_config=config, save_dir=out)) / (
        f"{graph.stem}_quantized.onnx"
    )


def quantize_without_optimum(graph: Path, out: Path) -> Path:
    """Fuse and quantise with onnxruntime's own tools, and return the new graph."""
    fused = out / "fused.onnx"
    # Sizes are read from the graph.
    optimize_model(str(graph), model_type="bert").save_model_to_file(str(fused))
    quantized = out / "quantized.onnx"
    quantize_dynamic(
        fused,
        quantized,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Shape inference does not know the fused operators' types; the error message asks for this.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    return quantized


def make(name: str, checkpoint: Path, out: Path) -> None:
    """Write the folder: one graph, the configuration and the tokenizer."""
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch, "exported")
        graph = export(checkpoint, exported)
        if name == "optimum-O2":
            graph = optimize(graph, Path(scratch, "optimized"))
        elif name == "optimum-int8":
            graph = quantize(graph, Path(scratch, "quantized"))
        elif name == "onnxruntime-int8":
            graph = quantize_without_optimum(graph, Path(scratch))
        shutil.copytree(exported, out, ignore=shutil.ignore_patterns("*.onnx"))
        shutil.move(graph, out / GRAPH)


def main() -> None:
    """Parse the command line and make the folder; without a name, only import everything."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest)
    parser.add_argument("name", nargs="?", choices=NAMES)
    parser.add_argument("checkpoint", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    given = parser.parse_args()
    if given.name is None:
        return
    if given.checkpoint is None or given.out is None:
        parser.error("a name needs a checkpoint and a folder to write")
    make(given.name, given.checkpoint, given.out)


if __name__ == "__main__":
    main()
