"""Data flows one way: checkpoint, engine, measurement, report."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "jouleforge"
FORBIDDEN = {
    "converters": {
        "jouleforge._core", "jouleforge.runners", "jouleforge.energy", "jouleforge.protocol",
        "jouleforge.studies", "jouleforge.comparison", "jouleforge.reports",
    },
    "runners": {
        "jouleforge.converters", "jouleforge.energy", "jouleforge.studies",
        "jouleforge.comparison", "jouleforge.reports",
    },
    "nvinfer": {
        "jouleforge._core", "jouleforge.converters", "jouleforge.runners", "jouleforge.energy",
        "jouleforge.studies", "jouleforge.comparison", "jouleforge.reports", "torch", "onnx",
    },
    "energy": {
        "jouleforge.converters", "jouleforge.runners", "jouleforge.reports", "torch",
        "transformers",
    },
    "reports": {
        "jouleforge._core", "jouleforge.converters", "jouleforge.runners", "jouleforge.energy",
        "jouleforge.protocol", "jouleforge.studies", "torch", "transformers",
    },
}  # fmt: skip
# What the types on disk may need: each other, and nothing that runs.
TYPES = ("stored.py", "recipe.py", "engine.py", "measurement.py", "caveats.py", "packed.py",
         "environment.py", "checkpoint.py", "task.py", "comparison/__init__.py")  # fmt: skip
HEAVY = {"torch", "transformers", "onnx", "onnxruntime", "pandas", "matplotlib", "datasets"}


def imported(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def crossed(module: Path, banned: set[str]) -> set[str]:
    return {
        name
        for name in imported(module)
        for ban in banned
        if name == ban or name.startswith(ban + ".")
    }


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_layer_imports_nothing_downstream(layer: str) -> None:
    modules = sorted((PACKAGE / layer).rglob("*.py"))
    assert modules
    for module in modules:
        assert not crossed(module, FORBIDDEN[layer]), module.relative_to(PACKAGE)


@pytest.mark.parametrize("name", TYPES)
def test_types_on_disk_import_nothing_heavy(name: str) -> None:
    assert not crossed(PACKAGE / name, HEAVY)


def test_converters_are_the_folder_at_the_top() -> None:
    assert (PACKAGE / "converters").resolve() == Path(__file__).parents[1] / "converters"


def test_help_loads_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; sys.argv = ['jouleforge', '--help']\n"
        "from jouleforge.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch', 'pydantic', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_conversion_without_a_task_loads_no_statistics() -> None:
    code = (
        "import sys; import jouleforge.console, jouleforge.converters.targets.ort\n"
        "from jouleforge.converters import conversion\n"
        "print(sorted({'sklearn', 'pandas', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_public_names_are_the_functions_and_not_the_modules() -> None:
    code = (
        "import jouleforge.protocol, jouleforge.studies, jouleforge.comparison\n"
        "import jouleforge\n"
        "assert all(callable(getattr(jouleforge, name)) for name in jouleforge.__all__)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
