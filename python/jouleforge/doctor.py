"""Doctor: what this machine has, what it lacks, and what to type about it."""

import importlib.util
from importlib import metadata
from typing import Literal

from jouleforge import cuda, energy, environment, nvinfer
from jouleforge.data import data_root
from jouleforge.environment import Environment
from jouleforge.stored import Stored

State = Literal["ok", "limited", "missing"]


class Check(Stored):
    """One thing that was looked for."""

    group: Literal["processor", "energy", "runtime", "package", "data"]
    name: str
    state: State
    found: str
    advice: str = ""
    """What to do about it; empty when nothing is needed."""


class Diagnosis(Stored):
    """All that was looked for on this machine."""

    environment: Environment
    checks: tuple[Check, ...]


# Distribution, what it is for, and the extra that brings it.
_RUNTIMES = (
    ("onnxruntime", "target ort", "cpu"),
    ("torch", "conversion, target pytorch", "convert"),
    ("openvino", "target ov", "openvino"),
    ("flash-attn", "flash attention on NVIDIA GPUs", "flash"),
)
_PACKAGES = (
    ("transformers", "conversion", "convert"),
    ("onnx", "conversion", "convert"),
    ("datasets", "tasks from the Hugging Face hub", "convert"),
    ("nncf", "NNCF's INT8, for target ov", "openvino"),
    ("codecarbon", "estimated energy", "carbon"),
    ("jinja2", "the HTML report", "report"),
)


def examine() -> Diagnosis:
    """Return what this machine has; nothing heavy is imported and nothing is changed."""
    here = environment.capture()
    checks = [
        *_processor(here),
        *_energy(),
        *(_installed("runtime", *entry) for entry in _RUNTIMES),
        _cuda(),
        _tensorrt(),
        *(_installed("package", *entry) for entry in _PACKAGES),
        _data(),
    ]
    return Diagnosis(environment=here, checks=tuple(checks))


def _processor(here: Environment) -> list[Check]:
    fast = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"} & set(here.cpu_flags)
    return [
        Check(
            group="processor",
            name=here.cpu,
            state="ok",
            found=f"{here.usable_cpus} of {here.logical_cpus} logical processors usable"
            + (", virtual machine" if here.virtual_machine else ""),
        ),
        Check(
            group="processor",
            name="INT8 instructions",
            state="ok" if fast else "limited",
            found=", ".join(sorted(fast)) or "none",
            advice="" if fast else "INT8 engines will gain little on this processor",
        ),
        Check(
            group="processor",
            name="clock source",
            state="ok" if here.clock_is_good else "limited",
            found=here.clock_source or "unknown",
            advice="" if here.clock_is_good else "short latencies are unreliable with this clock",
        ),
        _governor(here.governor),
    ]


def _governor(governor: str | None) -> Check:
    steady = governor in (None, "performance")
    return Check(
        group="processor",
        name="frequency governor",
        state="ok" if steady else "limited",
        found=governor or "not shown by this kernel",
        advice="" if steady else "sudo cpupower frequency-set -g performance",
    )


def _energy() -> list[Check]:
    return [_meter("nvml", "NVIDIA GPU energy"), _meter("rapl", "processor energy")]


def _meter(name: str, use: str) -> Check:
    problem = energy.problem(name)
    if problem is None:
        return Check(group="energy", name=name, state="ok", found=use)
    found, _, advice = problem.partition(". ")
    return Check(group="energy", name=name, state="missing", found=found, advice=advice)


def _installed(group: Literal["runtime", "package"], name: str, use: str, extra: str) -> Check:
    for distribution in (name, f"{name}-gpu"):
        try:
            return Check(group=group, name=distribution, state="ok",
                         found=metadata.version(distribution))  # fmt: skip
        except metadata.PackageNotFoundError:
            continue
    return Check(
        group=group,
        name=name,
        state="missing",
        found=f"not installed ({use})",
        advice=f"pip install 'jouleforge[{extra}]'",
    )


def _cuda() -> Check:
    if reason := cuda.problem():
        return Check(
            group="runtime",
            name="CUDA driver",
            state="missing",
            found=f"{reason} (TensorRT engines, GPU runs)",
            advice="install the NVIDIA driver; `nvidia-smi` has to list a GPU",
        )
    return Check(group="runtime", name="CUDA driver", state="ok", found=str(cuda.gpu()))


def _tensorrt() -> Check:
    """Look for the packages by name: importing TensorRT takes a second and a gigabyte."""
    if any(map(importlib.util.find_spec, nvinfer.FULL)):
        lacks_gpu = cuda.problem() is not None
        return Check(
            group="runtime",
            name="tensorrt",
            state="limited" if lacks_gpu else "ok",
            found=_tensorrt_version(),
            advice="it makes and runs engines only with an NVIDIA GPU" if lacks_gpu else "",
        )
    rtx = any(map(importlib.util.find_spec, nvinfer.RTX))
    return Check(
        group="runtime",
        name="tensorrt",
        state="limited" if rtx else "missing",
        found="TensorRT-RTX only, which checks graphs but makes no engine"
        if rtx
        else "not installed (TensorRT engines)",
        advice=f"on a machine with an NVIDIA GPU: {nvinfer.INSTALL}",
    )


def _tensorrt_version() -> str:
    for distribution in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "installed"


def _data() -> Check:
    root = data_root()
    hub = importlib.util.find_spec("datasets") is not None
    if root is not None:
        return Check(group="data", name="JOULEFORGE_DATA", state="ok", found=str(root))
    return Check(
        group="data",
        name="JOULEFORGE_DATA",
        state="limited",
        found="not set" + ("; tasks come from the hub" if hub else ""),
        advice="set it to a folder with data/TASK and checkpoints/NAME, or write a task file",
    )
