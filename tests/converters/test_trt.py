"""The target trt with a fake driver and a fake TensorRT: what is written, asked and shown."""

from pathlib import Path

import fake_tensorrt
import numpy as np
import onnx
import pytest
from fake_driver import FakeDriver

from jouleforge import cuda, nvinfer
from jouleforge.converters.plan.build import Plan
from jouleforge.converters.targets import trt
from jouleforge.cuda import Device
from jouleforge.nvinfer import record as records
from jouleforge.recipe import Recipe

RECIPE = Recipe(target="trt", precision="fp16", flavour="plain", max_length=16)
PRODUCT = records.ProductRecord(
    name="node", precision="fp16", weighted=True, factors=("batch", "sequence", 2)
)


@pytest.fixture
def folder(cuda_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the plan that a build would have given."""
    driver = FakeDriver(cuda_library)
    record = fake_tensorrt.RECORD.model_copy(update={"products": (PRODUCT,)})
    monkeypatch.setattr(cuda, "require", lambda *_: None)
    monkeypatch.setattr(nvinfer, "load_full", lambda: fake_tensorrt.library(driver))
    monkeypatch.setattr(trt, "Device", lambda: Device(driver.path))
    monkeypatch.setattr(trt, "build", lambda *_: Plan(fake_tensorrt.PLAN, record))
    trt.write(onnx.ModelProto(), RECIPE, tmp_path)
    return tmp_path


def test_what_is_written_answers_in_every_shape(folder: Path) -> None:
    answer = trt.answer(folder, RECIPE)
    for shape in ((1, 1), (4, 16), (2, 9)):
        ids = np.arange(np.prod(shape)).reshape(shape)
        found = answer({"input_ids": ids, "attention_mask": np.ones_like(ids)})
        np.testing.assert_array_equal(found, ids.sum(axis=1, keepdims=True) * [[1, 2, 3]])
        assert found.dtype == np.float32


def test_every_profile_is_inspected_when_the_plan_is_written(folder: Path) -> None:
    record = records.read(folder)
    assert record.layers_from == "engine inspector"
    assert [(layer.profile, layer.name) for layer in record.layers] == [
        (0, "node_myl0_0"),
        (1, "node [profile 1]_myl1_0"),
    ]


def test_evidence_needs_no_gpu_later(folder: Path) -> None:
    found = trt.evidence(folder, RECIPE, {"input_ids": np.ones((2, 12), np.int64)})
    assert found.source == "the engine inspector of tensorrt 11.4.0.106"
    (product,) = found.products
    assert (product.precision, product.multiply_adds) == ("fp16", 2 * 12 * 2)
    assert found.operators == {"gemm": 1}


def test_tensor_that_the_graph_lacks_is_watched_as_nothing(folder: Path) -> None:
    ids = np.ones((2, 3), np.int64)
    watch = trt.watch(folder, RECIPE, ["not there"])
    (found,) = watch({"input_ids": ids, "attention_mask": ids})
    assert found.size == 0


def test_choices_name_what_the_rest_of_a_small_engine_computes_in() -> None:
    assert trt.choices("fp8")["rest"] == ("fp16", "bf16", "fp32")
    assert trt.choices("fp16") == {"flavour": ("plain",)}
