"""Memory over what is loaded: of the process, and of its part of a GPU."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples import EAGER, measurement

from jouleforge import cuda
from jouleforge.comparison import compare
from jouleforge.measurement import Memory
from jouleforge.memory import MemoryWatch
from jouleforge.reports import csv, markdown

MIB = 2**20


def use(mebibytes: int) -> None:
    """Hold so much for a moment: each page is written, and all are given back."""
    held = bytearray(b"x") * (mebibytes * MIB)
    del held


def test_peak_at_work_is_over_what_was_loaded() -> None:
    watch = MemoryWatch("cpu")
    use(96)
    found = watch.stop()
    assert found.loaded_rss_bytes is not None
    assert found.working_rss_bytes is not None
    assert 90 * MIB < found.working_rss_bytes < 200 * MIB
    assert found.peak_rss_bytes is not None
    assert found.peak_rss_bytes >= found.loaded_rss_bytes + 90 * MIB
    assert (found.loaded_gpu_bytes, found.gpu_reason) == (None, None)


def test_what_loading_took_for_a_moment_is_not_the_works() -> None:
    use(256)
    found = MemoryWatch("cpu").stop()
    assert found.working_rss_bytes is not None
    assert found.working_rss_bytes < 64 * MIB
    assert found.peak_rss_bytes is not None
    assert found.loaded_rss_bytes is not None
    assert found.peak_rss_bytes > found.loaded_rss_bytes + 150 * MIB


def test_peak_of_loading_hides_that_of_work_where_it_is_not_forgotten(tmp_path: Path) -> None:
    use(256)
    found = MemoryWatch("cpu", clear=tmp_path / "no" / "clear_refs").stop()
    assert found.working_rss_bytes is None
    assert found.reason is not None
    assert "while loading" in found.reason


@pytest.fixture
def fake(nvml_library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    monkeypatch.setattr(cuda, "working_gpu", lambda: "GPU-bbbb")
    library = ctypes.CDLL(str(nvml_library))
    library.fake_set_process_memory.argtypes = [ctypes.c_uint, ctypes.c_ulonglong]
    library.fake_set_pids.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p]
    library.fake_restore()
    library.fake_set_pids(1, 1, (ctypes.c_uint * 1)(os.getpid()))
    yield library
    library.fake_restore()


def test_part_of_the_gpus_memory_is_this_processs(nvml_library: Path, fake: ctypes.CDLL) -> None:
    fake.fake_set_process_memory(1, 500 * MIB)
    watch = MemoryWatch("gpu", library=str(nvml_library))
    fake.fake_set_process_memory(1, 620 * MIB)
    found = watch.stop()
    assert (found.loaded_gpu_bytes, found.working_gpu_bytes) == (500 * MIB, 120 * MIB)
    assert found.gpu_reason is None


def test_memory_that_a_gpu_does_not_tell_is_null_with_the_reason(
    nvml_library: Path, fake: ctypes.CDLL
) -> None:
    fake.fake_set_process_memory(1, 2**64 - 1)
    found = MemoryWatch("gpu", library=str(nvml_library)).stop()
    assert (found.loaded_gpu_bytes, found.working_peak_gpu_bytes) == (None, None)
    assert (found.gpu_reason or "").startswith("E_GPU_MEMORY_HIDDEN")
    absent = MemoryWatch("gpu", library="libnothing.so.1").stop()
    assert (absent.gpu_reason or "").startswith("E_NVML_MISSING")


def test_reports_show_what_is_loaded_and_what_work_adds() -> None:
    memory = Memory(
        peak_rss_bytes=900 * MIB,
        loaded_rss_bytes=400 * MIB,
        working_peak_rss_bytes=424 * MIB,
        gpu_reason="E_GPU_MEMORY_HIDDEN: somewhere else",
    )
    found = compare([measurement(EAGER).model_copy(update={"memory": memory})])
    text = markdown.render(found).replace("\\", "")
    assert "400 MiB resident, 24 more at work; E_GPU_MEMORY_HIDDEN: somewhere else" in text
    head, line = (text.split(",") for text in csv.render(found).splitlines())
    fields = dict(zip(head, line, strict=False))
    assert fields["working_rss_bytes"] == str(24 * MIB)
    assert fields["loaded_gpu_bytes"] == ""
