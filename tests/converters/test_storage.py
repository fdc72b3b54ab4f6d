"""Storage: the file is the one that onnx itself would write, weight by weight."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jouleforge.converters import storage


def test_file_holds_the_same_graph(tmp_path: Path) -> None:
    shapes = ((), (1,), (40, 3), (300, 70))  # lengths of one, two and three bytes
    weights = [
        numpy_helper.from_array(np.full(shape, 0.5, np.float32), f"w{number}")
        for number, shape in enumerate(shapes)
    ]
    node = helper.make_node("Sum", [weight.name for weight in weights[:2]], ["y"], domain="")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "sum", [], [output], weights, doc_string="what it is")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.add(key="who", value="us")
    storage.save(model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == model
