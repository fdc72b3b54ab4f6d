"""Inspection: what TensorRT says of a plan, in its build log and through its inspector."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from jouleforge.converters.evidence import Evidence, Product
from jouleforge.nvinfer import Log
from jouleforge.nvinfer.record import BuildRecord, LayerRecord, ProductRecord

# The builder says this once it has matched MatMul-Softmax-MatMul as self-attention, in whatever
# layers and profiles. Whether a fused kernel follows is seen in the layers: in FP32 none does.
_RECOGNISED = "Found and reassigned Myelin backends for Self-Attention nodes"
# Fused attention kernels have it in their name: _gemm_mha_v2.
_FUSED_KERNEL = re.compile(r"_mha(_|\b)")
_NODE = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
# The inspector marks the names of all profiles but the first. Inner names bear the number of the
# compiled part instead, so a part belongs to the profile that any of its layers names.
_PROFILE = re.compile(r"\[profile (\d+)\]")
_PART = re.compile(r"_myl(\d+)_\d+$")
# One layer as the build log prints it. Lists hold lists, so their end is what follows them.
_LINE = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], "
    r"(?:Constants|Outputs): .*TacticName: (?P<tactic>[^,]*), StreamId: .*?Metadata: "
    r"(?P<nodes>.*)$",
    flags=re.MULTILINE,
)
_DATATYPE = re.compile(r"Datatype: ([^,}]+)")

# Words of the inspector's data types, in capitals -> our names.
_FORMATS = {
    "FP8": "fp8",
    "INT8": "int8",
    "FP16": "fp16",
    "HALF": "fp16",
    "BFLOAT16": "bf16",
    "FP32": "fp32",
    "FLOAT": "fp32",
}


def recognised_attention(log: Log) -> bool:
    """Return whether the builder recognised self-attention anywhere."""
    return any(_RECOGNISED in message.text for message in log.messages)


def telling(log: Log) -> tuple[str, ...]:
    """Return the lines worth keeping: warnings, and what was recognised; each text once."""
    lines = [
        message.text
        for message in log.messages
        if message.severity <= 2 or _RECOGNISED in message.text
    ]
    return tuple(dict.fromkeys(lines))


def layers_of_log(log: Log) -> tuple[LayerRecord, ...]:
    """Return the layers of all profiles, which a verbose builder prints when it is done."""
    found = [match for message in log.messages for match in _LINE.finditer(message.text)]
    return _numbered(
        (
            LayerRecord(
                name=match["name"],
                kind=match["kind"],
                tactic=match["tactic"],
                formats=tuple(_DATATYPE.findall(match["inputs"])),
                nodes=_nodes(match["nodes"]),
                profile=0,
            ),
            match[0],
        )
        for match in found
    )


def layers_of_json(text: str) -> tuple[LayerRecord, ...]:
    """Return the layers in the inspector's JSON of a plan that was built with full verbosity."""
    found = [layer for layer in json.loads(text)["Layers"] if isinstance(layer, dict)]
    return _numbered(
        (
            LayerRecord(
                name=str(layer["Name"]),
                kind=str(layer.get("LayerType", "unknown")),
                tactic=str(layer.get("TacticName", "")),
                # TensorRT 10 has one field for both, 11 has two.
                formats=tuple(
                    str(one.get("Datatype", one.get("Format/Datatype", "")))
                    for one in layer.get("Inputs", ())
                ),
                nodes=_nodes(str(layer.get("Metadata", ""))),
                profile=0,
            ),
            json.dumps(layer),
        )
        for layer in found
    )


def evidence(record: BuildRecord, inputs: Mapping[str, Any]) -> Evidence:
    """Return what the plan consists of for inputs of these shapes, each (batch, sequence)."""
    batch, sequence = next(iter(inputs.values())).shape
    profile = record.profile_of(batch, sequence)
    mine = [layer for layer in record.layers if layer.profile == profile]
    sizes = {"batch": int(batch), "sequence": int(sequence)}
    return Evidence(
        source=f"the {record.layers_from} of {record.library} {record.version}",
        products=tuple(_product(one, mine, sizes, tf32=record.tf32) for one in record.products),
        fused_attentions=sum(map(_is_fused_attention, mine)),
        operators=dict(sorted(Counter(layer.kind for layer in mine).items())),
        tf32=record.tf32,
    )


def _nodes(metadata: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_NODE.findall(metadata)))


def _numbered(described: Iterable[tuple[LayerRecord, str]]) -> tuple[LayerRecord, ...]:
    """Return the layers with their profiles, each found in all that is said of its part."""
    parts: dict[str, list[tuple[int, LayerRecord]]] = {}
    profiles: dict[str, int] = {}
    for index, (layer, text) in enumerate(described):
        match = _PART.search(layer.name)
        part = match[1] if match else layer.name
        parts.setdefault(part, []).append((index, layer))
        marks = [int(number) for number in _PROFILE.findall(text)]
        profiles[part] = max([profiles.get(part, 0), *marks])
    placed = [
        (index, layer.model_copy(update={"profile": profiles[part]}))
        for part, members in parts.items()
        for index, layer in members
    ]
    return tuple(layer for _, layer in sorted(placed, key=lambda one: one[0]))


def _is_fused_attention(layer: LayerRecord) -> bool:
    return any(_FUSED_KERNEL.search(text) for text in (layer.name, layer.tactic))


def _product(
    product: ProductRecord, mine: Iterable[LayerRecord], sizes: Mapping[str, int], *, tf32: bool
) -> Product:
    multiply_adds = 1
    for factor in product.factors:
        multiply_adds *= sizes[factor] if isinstance(factor, str) else factor
    return Product(
        name=product.name,
        precision=_executed(product, [one for one in mine if product.name in one.nodes], tf32=tf32),
        weighted=product.weighted,
        multiply_adds=multiply_adds,
        provider="tensorrt",
    )


def _executed(product: ProductRecord, computed_by: list[LayerRecord], *, tf32: bool) -> str:
    """Return the format of the factors in the layers that compute a product.

    A layer may be more than one product, so the type of the graph stands where the layer reads
    any tensor of it; otherwise the layer was given other factors than the graph has.
    """
    read = {_format(text) for layer in computed_by for text in layer.formats} - {None}
    precision = product.precision
    if read and precision not in read:
        precision = next(name for name in _FORMATS.values() if name in read)
    if precision == "fp32" and tf32:
        return "tf32"
    return precision


def _format(text: str) -> str | None:
    words = set(re.findall(r"\w+", text.upper()))
    return next((name for word, name in _FORMATS.items() if word in words), None)
