"""What we call of TensorRT, compared with the real bindings of TensorRT 11.4 and of TensorRT-RTX.

The bindings of 11.4 are imported on top of three empty libraries, in a process of their own: their
classes and docstrings are real, and nothing of them is called.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import contract
import pytest

from jouleforge import nvinfer
from jouleforge.errors import MissingError

pytestmark = pytest.mark.tensorrt
ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parent / "stubs"
# `make` puts the wheel there, and not where it can be imported: without its libraries it is broken.
BINDINGS = Path(os.environ.get("JOULEFORGE_TENSORRT_BINDINGS", Path(sys.prefix) / "tensorrt-11"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], list[str]]:
    """Version, mismatches, and removed names that are still there, of TensorRT 11.4."""
    compiler = shutil.which("cc")
    if not (BINDINGS / "tensorrt_bindings").is_dir() or compiler is None:
        pytest.skip(
            f"a C compiler and the bindings in {BINDINGS} are needed: pip install --no-deps "
            f"--target {BINDINGS} tensorrt-cu13-bindings==11.4.0.106"
        )
    libraries = tmp_path_factory.mktemp("stubs")
    for source in STUBS.glob("*.c"):
        name = f"lib{source.stem}.so.11"
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-w"]
        subprocess.run([*command, "-o", str(libraries / name), str(source)], check=True)
    path = os.pathsep.join([str(BINDINGS), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-m", "contract"],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version, mismatches, still_there = json.loads(done.stdout)
    return version, mismatches, still_there


def test_everything_we_call_is_in_tensorrt_11(report: tuple[str, list[str], list[str]]) -> None:
    version, mismatches, _ = report
    assert version.startswith("11.4")
    assert mismatches == []


def test_what_we_call_removed_is_gone_from_tensorrt_11(
    report: tuple[str, list[str], list[str]],
) -> None:
    assert report[2] == []


def test_nothing_that_tensorrt_11_removed_is_called_by_us() -> None:
    removed = {name for names in contract.REMOVED.values() for name in names}
    # Attributes of other things of ours bear these names too; TensorRT's are told by their owner.
    removed -= {"precision", "FP16", "BF16", "INT8", "FP8"}
    files = [
        file
        for folder in ("converters/plan", "converters/targets", "python/jouleforge/nvinfer",
                       "python/jouleforge/runners", "bench/gpu")
        for file in (ROOT / folder).rglob("*.py")
    ]  # fmt: skip
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in removed, f"{file}:{node.lineno}"


def test_everything_we_call_is_in_tensorrt_rtx() -> None:
    try:
        library = nvinfer.load(nvinfer.RTX)
    except MissingError as error:
        pytest.skip(str(error))
    assert contract.mismatches(library.api) == []


def test_the_comparison_finds_what_is_missing_and_what_is_called_otherwise() -> None:
    class Builder:
        def create_network(self) -> None:
            """create_network(self: Builder, kind: int) -> None"""

    found = contract.mismatches(SimpleNamespace(Builder=Builder))
    assert "there is no OnnxParser" in found
    assert "Builder.create_builder_config is not there" in found
    assert "Builder.create_network(flags) is not one of [['kind: int']]" in found
