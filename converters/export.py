"""Export: a PyTorch module becomes an ONNX graph, in one of two flavours.

`plain` holds standard operators with a finite mask, which every runtime understands. `fused` holds
ONNX Runtime's attention operator with the raw mask, which `fusion.py` completes.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir
import torch
from transformers import PreTrainedModel

from jouleforge import garbage
from jouleforge.converters import attention, fusion, naming, narrowing
from jouleforge.errors import GateError
from jouleforge.recipe import Flavour

# Opset 20 is the first with Gelu as one operator; opset 23's Attention is not yet fused by all.
OPSET = 20

_ENTRIES = {"plain": attention.PLAIN, "fused": attention.FUSED}


class _WithTokenTypes(torch.nn.Module):
    """Positional inputs and the bare logits: what the exporter traces."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        logits: torch.Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).logits
        return logits


class _WithoutTokenTypes(torch.nn.Module):
    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export(
    model: PreTrainedModel,
    *,
    flavour: Flavour,
    inputs: tuple[str, ...],
    max_length: int,
    fuse_residuals: bool = False,
    narrow: bool = False,
) -> onnx.ModelProto:
    """Return the module as an ONNX graph with dynamic batch and sequence dimensions.

    Args:
        model: A sequence classifier in evaluation mode; its attention implementation is switched
            for the export and put back.
        flavour: Form of the graph.
        inputs: Names of the inputs, each int64 of shape (batch, sequence).
        max_length: Upper bound of the sequence dimension, in tokens.
        fuse_residuals: In a fused graph, one operator for residual addition and LayerNorm.
        narrow: Compute of the last layer only what the head reads.

    Raises:
        GateError: torch cannot express the module as a graph.
    """
    attention.register()
    wrapper = _WithTokenTypes if "token_type_ids" in inputs else _WithoutTokenTypes
    # An example of batch 1 would be specialised on by torch.export.
    example = torch.ones((2, min(16, max_length)), dtype=torch.int64)
    dims = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("sequence", max=max_length)}
    with garbage.paused(), _attention(model, _ENTRIES[flavour]), _quiet():
        try:
            program = torch.onnx.export(
                wrapper(model).eval(),
                tuple(example.clone() for _ in inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(inputs, dims),
                external_data=False,
                optimize=False,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise GateError(
                f"torch could not export {type(model).__name__} as a {flavour} graph: "
                f"{str(error).splitlines()[0]}"
            ) from error
    assert program is not None, "dynamo=True returns a program"
    return _optimized(
        program, fused=flavour == "fused", fuse_residuals=fuse_residuals, narrow=narrow
    )


def _optimized(
    program: torch.onnx.ONNXProgram, *, fused: bool, fuse_residuals: bool, narrow: bool
) -> onnx.ModelProto:
    """Return the graph after the exporter's own optimisations and ours, weights moved into it."""
    weights = list(program.model.graph.initializers.values())
    program.optimize()
    naming.name_nodes(program.model.graph)
    weights += program.model.graph.initializers.values()
    if fused:
        fusion.fuse(program.model, residuals=fuse_residuals)
        weights += program.model.graph.initializers.values()
    if narrow:
        narrowing.narrow(program.model)
    proto = _finish(program.model)
    # The exporter's rewriting rules keep the last graph they saw for as long as the process lives,
    # and with it, unless they are taken out, all weights of the module.
    for value in weights:
        value.const_value = None
    return proto


def _finish(graph: onnx_ir.Model) -> onnx.ModelProto:
    proto = onnx_ir.to_proto(graph)
    # The exporter also describes initializers as inner values, and runtimes that transpose a
    # weight in place then find two shapes for one name.
    constants = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.value_info if value.name not in constants]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(kept)
    return proto


@contextmanager
def _attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide torch's remarks about its own deprecations and about torchvision."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
