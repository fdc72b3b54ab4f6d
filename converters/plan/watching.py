"""Watching: a graph whose inner tensors are outputs too, to see where values part."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


def with_outputs(
    graph: onnx.ModelProto, tensors: Sequence[str]
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Return the graph with these tensors as float32 outputs, and the output of each by its name.

    A tensor that the graph does not have is left out.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    made = {name for node in graph.graph.node for name in node.output}
    outputs = {name: f"{name}/watched" for name in dict.fromkeys(tensors) if name in made}
    for name, output in outputs.items():
        cast = helper.make_node("Cast", [name], [output], f"{output}/Cast", to=TensorProto.FLOAT)
        watched.graph.node.append(cast)
        watched.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    return watched, outputs
