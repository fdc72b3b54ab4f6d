"""Adoption: graphs of other makers become engines that say what and whose they are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tasks import write_task
from typer.testing import CliRunner

from jouleforge.caveats import Caveat
from jouleforge.cli import app
from jouleforge.converters.adoption import adopt
from jouleforge.engine import Engine
from jouleforge.errors import GateError, InputError
from jouleforge.measurement import WorkloadSpec
from jouleforge.protocol import measure
from jouleforge.schedule import Schedule

MakeCheckpoint = Callable[..., Path]
MakeEngine = Callable[..., Engine]
MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(
    make_checkpoint: MakeCheckpoint, make_engine: MakeEngine, tmp_path: Path
) -> MakeFolder:
    """A function that lays out a folder as other exporters do, with a graph of our own exporter."""

    def make(file: str = "model.onnx", family: str = "bert", **choices: object) -> Path:
        folder = tmp_path / "theirs"
        shutil.copytree(make_checkpoint(family), folder)
        (folder / "model.safetensors").unlink()
        shutil.copy(make_engine(family, target="ort", **choices).path / "model.onnx", folder / file)
        return folder

    return make


def change(folder: Path, edit: Callable[[onnx.GraphProto], None]) -> Path:
    """Edit the folder's graph in place."""
    model = onnx.load(folder / "model.onnx")
    edit(model.graph)
    onnx.save(model, folder / "model.onnx")
    return folder


def test_adopted_graph_is_checked_against_its_checkpoint_and_says_whose_it_is(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = make_folder(flavour="plain")
    engine = adopt(folder, tmp_path / "e", name="theirs O1", checkpoint=make_checkpoint("bert"))
    (stage,) = engine.manifest.parity
    assert stage.decisions_equal == stage.rows
    assert stage.max_abs_error < 1e-4
    assert engine.name == "theirs O1 ort fp32"
    origin = engine.manifest.origin
    assert origin is not None
    assert (origin.file, origin.caveats) == ("model.onnx", (Caveat.ADOPTED,))
    assert origin.producer is not None
    assert origin.producer.startswith("pytorch")
    assert (engine.path / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()


def test_caveats_of_an_unchecked_engine_stay_with_its_measurements(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    engine = adopt(make_folder(), tmp_path / "e")
    assert engine.manifest.parity == ()
    task = write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=20)
    schedule = Schedule(warmup_s=0, duration_s=0.01)
    found = measure(
        engine, WorkloadSpec(task=str(task)), threads=1, schedule=schedule, energy_source="none"
    )
    assert {Caveat.ADOPTED, Caveat.PARITY_UNCHECKED} <= set(found.caveats)
    assert Caveat.RIGHT_PADDING_ONLY not in found.caveats
    assert found.engine.origin == engine.manifest.origin


def test_precision_is_that_of_the_graph_and_not_of_its_name(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder("model_quantized.onnx", flavour="plain")
    floating = adopt(folder, tmp_path / "floating")
    assert floating.manifest.recipe.precision == "fp32"
    quantize_dynamic(
        folder / "model_quantized.onnx", folder / "model_fp32.onnx", weight_type=QuantType.QInt8
    )
    theirs = adopt(folder, tmp_path / "theirs-int8", file="model_fp32.onnx")
    assert theirs.manifest.recipe.precision == "int8-dynamic"
    assert theirs.manifest.audit.weighted_shares["int8"] > 0.9


def test_fused_int8_graph_is_known_as_such(make_folder: MakeFolder, tmp_path: Path) -> None:
    engine = adopt(make_folder(precision="int8-dynamic"), tmp_path / "e")
    assert engine.manifest.recipe.precision == "int8-dynamic"


def test_weights_that_are_stored_as_bytes_but_multiplied_as_floats_are_not_int8(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    def store_as_bytes(graph: onnx.GraphProto) -> None:
        scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.01])
        graph.initializer.append(scale)
        for node in [node for node in graph.node if node.op_type == "MatMul"]:
            found = [each for each in graph.initializer if each.name == node.input[1]]
            for tensor in found:
                array = onnx.numpy_helper.to_array(tensor)
                small = (array * 10).round().astype("int8")
                tensor.CopyFrom(onnx.numpy_helper.from_array(small, tensor.name))
                wide = f"{tensor.name}_wide"
                graph.node.insert(
                    0, helper.make_node("DequantizeLinear", [tensor.name, "s"], [wide])
                )
                node.input[1] = wide

    folder = change(make_folder(flavour="plain"), store_as_bytes)
    assert adopt(folder, tmp_path / "e").manifest.recipe.precision == "fp32"


def test_weights_in_a_file_of_their_own_are_carried_along(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = make_folder()
    onnx.save(
        onnx.load(folder / "model.onnx"),
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    engine = adopt(folder, tmp_path / "e", checkpoint=make_checkpoint("bert"))
    shutil.rmtree(folder)
    assert "model.onnx_data" in Engine.open(engine.path).manifest.files
    assert engine.manifest.parity[0].max_abs_error < 1e-4


def test_mask_reduced_to_lengths_is_found_and_said(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    def reduce_mask(graph: onnx.GraphProto) -> None:
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        graph.initializer.append(axes)
        cast = helper.make_node("Cast", ["attention_mask"], ["mask32"], to=TensorProto.INT32)
        total = helper.make_node("ReduceSum", ["mask32", "axes"], ["lengths"], keepdims=0)
        for node in graph.node:
            if node.op_type == "Attention":
                node.input[3] = "lengths"
        graph.node.insert(0, total)
        graph.node.insert(0, cast)

    folder = change(make_folder(), reduce_mask)
    engine = adopt(folder, tmp_path / "e", checkpoint=make_checkpoint("bert"))
    (stage,) = engine.manifest.parity
    assert "padded on the right" in stage.name
    assert stage.max_abs_error < 1e-4
    assert engine.manifest.origin is not None
    assert Caveat.RIGHT_PADDING_ONLY in engine.manifest.origin.caveats


def test_graph_of_another_model_fails_parity_and_writes_nothing(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(make_checkpoint("bert"), other)
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"gelu"', '"relu"'))
    out = tmp_path / "engines" / "e"
    with pytest.raises(GateError, match="parity of the adopted graph failed"):
        adopt(make_folder(), out, checkpoint=other)
    assert list(out.parent.iterdir()) == []


def test_folder_with_another_tokenizer_is_refused(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = make_folder()
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace('"lowercase": true', '"lowercase": false'))
    with pytest.raises(InputError, match="read the same text differently"):
        adopt(folder, tmp_path / "e", checkpoint=make_checkpoint("bert"))


def test_folder_of_another_configuration_is_refused(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no export of distilbert: its family is bert"):
        adopt(make_folder(), tmp_path / "e", checkpoint=make_checkpoint("distilbert"))


def _rename(old: str, new: str) -> Callable[[onnx.GraphProto], None]:
    def edit(graph: onnx.GraphProto) -> None:
        for value in (*graph.input, *graph.output):
            value.name = new if value.name == old else value.name
        for node in graph.node:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    names[place] = new if name == old else name

    return edit


def _int32(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def _fixed(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _without_types(graph: onnx.GraphProto) -> None:
    (place,) = [i for i, value in enumerate(graph.input) if value.name == "token_type_ids"]
    zeros = helper.make_node("Sub", ["input_ids", "input_ids"], ["token_type_ids"])
    del graph.input[place]
    graph.node.insert(0, zeros)


def _outside(graph: onnx.GraphProto) -> None:
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_rename("token_type_ids", "position_ids"), r"takes the input 'position_ids'; expected"),
        (_rename("token_type_ids", "past_key_values.0"), "is a decoder"),
        (_rename("attention_mask", "token_type_id"), "takes the input 'token_type_id'"),
        (_rename("logits", "last_hidden_state"), r"gives last_hidden_state; expected .*'logits'"),
        (_int32, "is int32; expected int64"),
        (_fixed, "dynamic batch"),
        (_without_types, "has no input token_type_ids"),
        (_outside, r"'../secret.bin'; expected a file beside it"),
    ],
)
def test_graph_that_is_no_classifier_of_texts_is_refused(
    make_folder: MakeFolder,
    tmp_path: Path,
    edit: Callable[[onnx.GraphProto], None],
    message: str,
) -> None:
    folder = change(make_folder(), edit)
    with pytest.raises(InputError, match=message):
        adopt(folder, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_file_that_is_linked_from_outside_is_refused(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder()
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(InputError, match="is not inside"):
        adopt(folder, tmp_path / "e")


def test_command_asks_which_of_several_graphs_and_says_what_was_checked(
    make_folder: MakeFolder, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    folder = make_folder()
    shutil.copy(folder / "model.onnx", folder / "model_optimized.onnx")
    words = ["adopt", str(folder), "-o", str(tmp_path / "e")]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "found model.onnx, model_optimized.onnx; name it (--file)" in refused.output
    words += ["--file", "model_optimized.onnx", "--checkpoint", str(make_checkpoint("bert"))]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "theirs ort fp32" in done.output
    assert "decisions as the checkpoint's" in done.output
