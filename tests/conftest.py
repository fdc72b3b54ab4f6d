"""Fixtures: tiny checkpoints of every supported family, engines made of them, and real data."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jouleforge.data import data_root
from jouleforge.engine import Engine
from jouleforge.recipe import Recipe

MakeCheckpoint = Callable[..., Path]
MakeEngine = Callable[..., Engine]

# Nothing in the test suite may ask a hub for anything.
os.environ["HF_HUB_OFFLINE"] = "1"


# A shell starts background jobs with Ctrl-C ignored, and programs that tests start and interrupt
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow; run with --slow")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> MakeCheckpoint:
    """A function that saves a tiny random checkpoint, once per set of arguments."""
    from checkpoints import save_checkpoint

    made: dict[str, Path] = {}

    def make(family: str = "bert", **changes: object) -> Path:
        key = f"{family} {sorted(changes.items())}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("checkpoint") / family
            save_checkpoint(made[key], family, **changes)
        return made[key]

    return make


@pytest.fixture(scope="session")
def make_engine(
    make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory
) -> MakeEngine:
    """A function that converts a tiny checkpoint, once per set of arguments."""
    from jouleforge.converters import convert

    made: dict[str, Engine] = {}

    def make(family: str = "bert", **choices: object) -> Engine:
        key = f"{family} {sorted(choices.items())}"
        if key not in made:
            task = choices.pop("task", None)
            recipe = Recipe.model_validate(choices)
            out = tmp_path_factory.mktemp("engine") / "engine"
            made[key] = convert(
                make_checkpoint(family), recipe, out, task=None if task is None else str(task)
            )
        return made[key]

    return make


@pytest.fixture(scope="session")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small task with all three splits, for the three labels of the tiny checkpoints."""
    from tasks import calibration_lines, write_task

    labels = ("LABEL_0", "LABEL_1", "LABEL_2")
    train = calibration_lines(40, "LABEL_0")
    return write_task(tmp_path_factory.mktemp("task"), labels, rows=60, train=train)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOULEFORGE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def build_fake(source: str, path: Path) -> Path:
    """Build a driver's stand-in, which the C++ tests use too."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip(f"no C++ compiler to build {source} with")
    file = Path(__file__).parent / "cpp" / source
    command = [compiler, "-std=c++20", "-shared", "-fPIC", "-o", str(path), str(file)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="session")
def cuda_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake CUDA driver."""
    return build_fake("fake_cuda.cpp", tmp_path_factory.mktemp("cuda") / "libcuda.so.1")


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake NVML of two GPUs."""
    return build_fake("fake_nvml.cpp", tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data and checkpoints, or a skip."""
    root = data_root()
    if root is None:
        pytest.skip("JOULEFORGE_DATA is not set")
    return root
