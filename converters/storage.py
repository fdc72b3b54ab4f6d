"""Storage: a graph's file, written one weight at a time."""

from pathlib import Path

import onnx
from google.protobuf.message import Message


def save(graph: onnx.ModelProto, file: Path) -> None:
    """Write a graph as `onnx.save` does, without holding all of it in memory again.

    Protobuf messages that follow each other in a file are read as one, their repeated fields
    joined: so every weight can be a message of its own.
    """
    rest = onnx.ModelProto()
    _copy(graph, rest, but="graph")
    _copy(graph.graph, rest.graph, but="initializer")
    with file.open("wb") as stream:
        stream.write(rest.SerializeToString())
        for weight in graph.graph.initializer:
            content = weight.SerializeToString()
            in_graph = _tag(onnx.GraphProto, "initializer") + _varint(len(content))
            stream.write(_tag(onnx.ModelProto, "graph") + _varint(len(in_graph) + len(content)))
            stream.write(in_graph)
            stream.write(content)


def _tag(message: type[Message], field: str) -> bytes:
    """Return what precedes the length of a field that is a message (protobuf's wire type 2)."""
    return _varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def _varint(number: int) -> bytes:
    """Return a number in protobuf's variable length: seven bits a byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _copy(source: Message, into: Message, *, but: str) -> None:
    """Copy all fields except one."""
    for field, value in source.ListFields():
        if field.name == but:
            continue
        if isinstance(value, (str, bytes, int, float)):
            setattr(into, field.name, value)
        else:
            getattr(into, field.name).MergeFrom(value)
