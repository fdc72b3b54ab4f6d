"""Our places in ONNX Runtime's function table, compared with the official header where it is."""

import os
import re
from pathlib import Path

import pytest

OURS = Path(__file__).parents[1] / "csrc" / "runners" / "ort_api.h"
INSTALLED = Path("/usr/include/onnxruntime/onnxruntime_c_api.h")


def our_slots() -> dict[str, int]:
    text = OURS.read_text(encoding="utf-8")
    entries = re.findall(r'\bk(\w+)\{\s*"(\w+)",\s*(\d+)\s*\}', text)
    assert len(entries) == text.count("inline constexpr Slot<")
    for constant, name, _ in entries:
        assert constant == name
    return {name: int(number) for _, name, number in entries}


def official_slots(header: str) -> list[str]:
    """Return the names of the members of `struct OrtApi`, in order."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*|^#[^\n]*", "", text, flags=re.MULTILINE)
    body = re.search(r"struct OrtApi \{(.*?)\n\};", text, flags=re.DOTALL)
    assert body is not None
    names = []
    for statement in filter(None, (" ".join(part.split()) for part in body[1].split(";"))):
        member = re.search(
            r"ORT_API2_STATUS\( ?(\w+)|ORT_CLASS_RELEASE\( ?(\w+)|"
            r"ORT_API_T\( ?[^,]+, ?(\w+)|\( ?(?:ORT_API_CALL)? ?\* ?(\w+) ?\) ?\(",
            statement,
        )
        assert member is not None, statement
        status, released, typed, plain = member.groups()
        names.append(f"Release{released}" if released else status or typed or plain)
    return names


def test_no_two_functions_share_a_slot() -> None:
    slots = our_slots()
    assert len(set(slots.values())) == len(slots) > 40


def test_slots_are_those_of_the_official_header() -> None:
    header = Path(os.environ.get("JOULEFORGE_ORT_HEADER", INSTALLED))
    if not header.is_file():
        pytest.skip(f"{header} is not there; set JOULEFORGE_ORT_HEADER to onnxruntime_c_api.h")
    names = official_slots(header.read_text(encoding="utf-8"))
    assert our_slots() == {name: names.index(name) for name in our_slots()}
