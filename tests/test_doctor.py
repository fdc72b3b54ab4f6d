"""What doctor says of NVIDIA's software, whatever this machine has."""

from types import SimpleNamespace

import pytest

from jouleforge import cuda, doctor
from jouleforge.cuda import Gpu


def check(name: str) -> doctor.Check:
    return next(check for check in doctor.examine().checks if check.name == name)


def install(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Let these modules be found, and no other."""
    found = SimpleNamespace(find_spec=lambda name: name if name in modules else None)
    monkeypatch.setattr(doctor.importlib, "util", found)


def test_missing_driver_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "problem", lambda: "no CUDA driver: libcuda.so.1: not found")
    found = check("CUDA driver")
    assert found.state == "missing"
    assert "libcuda.so.1: not found" in found.found
    assert "nvidia-smi" in found.advice


def test_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "problem", lambda: None)
    monkeypatch.setattr(cuda, "gpu", lambda: Gpu("NVIDIA L4", (8, 9), "13.2", "580.1"))
    found = check("CUDA driver")
    assert found.state == "ok"
    assert found.found == "NVIDIA L4 (compute capability 8.9, driver 580.1, CUDA 13.2)"


@pytest.mark.parametrize(
    ("modules", "problem", "state", "words"),
    [
        (["tensorrt"], None, "ok", ""),
        (["tensorrt"], "no driver", "limited", "only with an NVIDIA GPU"),
        (["tensorrt_rtx_bindings"], "no driver", "limited", "makes no engine"),
        ([], None, "missing", "pip install 'jouleforge[tensorrt]'"),
    ],
)
def test_tensorrt_is_what_it_is_good_for_here(
    monkeypatch: pytest.MonkeyPatch, modules: list[str], problem: str | None, state: str, words: str
) -> None:
    install(monkeypatch, *modules)
    monkeypatch.setattr(cuda, "problem", lambda: problem)
    monkeypatch.setattr(cuda, "gpu", lambda: Gpu("NVIDIA L4", (8, 9), "13.2", None))
    found = check("tensorrt")
    assert found.state == state
    assert words in found.found + found.advice
