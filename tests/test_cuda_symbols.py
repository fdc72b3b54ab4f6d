"""The CUDA driver functions that we declare, compared with the official header where it is."""

import os
import re
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from pathlib import Path

import pytest

from jouleforge.cuda import SIGNATURES

OURS = Path(__file__).parents[1] / "csrc" / "runners" / "cuda_api.h"
INSTALLED = Path("/usr/local/cuda/include/cuda.h")

# What a C type of the header is in ctypes. A handle is a pointer; an enum is an int.
HANDLES = ("CUcontext", "CUstream", "CUgraph", "CUgraphExec")
CTYPES = {
    "int": c_int,
    "unsigned int": c_uint,
    "unsigned long long": c_uint64,
    "size_t": c_size_t,
    "CUresult": c_int,
    "CUdevice": c_int,
    "CUdeviceptr": c_uint64,
    "CUdevice_attribute": c_int,
    "CUstreamCaptureMode": c_int,
    "void *": c_void_p,
    "const void *": c_void_p,
    "char *": c_char_p,
    "const char **": POINTER(c_char_p),
    "int *": POINTER(c_int),
    "unsigned int *": POINTER(c_uint),
    "CUdevice *": POINTER(c_int),
    "CUuuid *": c_char_p,
    "CUdeviceptr *": POINTER(c_uint64),
    **dict.fromkeys(HANDLES, c_void_p),
    **{f"{handle} *": POINTER(c_void_p) for handle in HANDLES},
}


def ours_in_cpp() -> dict[str, list[str]]:
    """Return each exported name with the types of its parameters, as the header of ours has it."""
    text = OURS.read_text(encoding="utf-8")
    found = re.findall(r"Symbol<CUresult\(([^)]*)\)>\s*k\w+\{\s*\"(\w+)\"\s*\}", text)
    assert len(found) == text.count("inline constexpr Symbol<")
    return {name: [normal(part) for part in types.split(",")] for types, name in found}


def normal(kind: str) -> str:
    words = " ".join(kind.replace("*", " * ").split()).replace("* *", "**")
    return words.removeprefix("std::")


@pytest.fixture(scope="module")
def official() -> dict[str, list[str]]:
    """Each exported name with the types of its parameters; the macros name the current version."""
    header = Path(os.environ.get("JOULEFORGE_CUDA_HEADER", INSTALLED))
    if not header.is_file():
        pytest.skip(f"{header} is not there; set JOULEFORGE_CUDA_HEADER to cuda.h")
    text = header.read_text(encoding="utf-8")
    current = dict(re.findall(r"#\s*define (cu\w+)\s+(?:__CUDA_API_\w+\()?(cu\w+)", text))
    declared = re.findall(r"^CUresult CUDAAPI (cu\w+)\(([^)]*)\);", text, flags=re.MULTILINE)
    return {
        current.get(name, name): [normal(re.sub(r"\w+$", "", part.strip()))
                                  for part in parameters.split(",")]
        for name, parameters in declared
    }  # fmt: skip


def test_functions_of_the_harness_are_those_of_the_official_header(
    official: dict[str, list[str]],
) -> None:
    assert len(ours_in_cpp()) > 10
    for name, types in ours_in_cpp().items():
        assert types == official[name], name


def test_functions_of_the_python_side_are_those_of_the_official_header(
    official: dict[str, list[str]],
) -> None:
    for name, types in SIGNATURES.items():
        assert [CTYPES[kind] for kind in official[name]] == list(types), name
