"""Environment: the machine and software a measurement was taken on."""

import os
import platform
from importlib import metadata
from pathlib import Path

from jouleforge.stored import Stored

# Whatever of these is installed can change a number.
_PACKAGES = (
    "jouleforge",
    "nncf",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "tensorrt-cu13",
    "tokenizers",
    "torch",
    "transformers",
)
# Instruction sets that decide which kernels a runtime picks.
_TELLING_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "asimdhp",
    "i8mm",
    "bf16",
    "sve",
)
# Clock sources that cost tens of nanoseconds to read; anything else is slow or unstable.
_GOOD_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")


class Environment(Stored):
    """The machine and software of one run; what cannot be read is `None`."""

    cpu: str
    cpu_flags: list[str]
    logical_cpus: int
    usable_cpus: int
    memory_bytes: int | None
    virtual_machine: bool | None
    governor: str | None
    clock_source: str | None
    system: str
    python: str
    packages: dict[str, str]

    @property
    def clock_is_good(self) -> bool:
        """Whether the clock source is one that is cheap and steady, as far as is known."""
        return self.clock_source is None or self.clock_source in _GOOD_CLOCKS


def capture() -> Environment:
    """Return the environment of this process."""
    info = _cpu_info()
    flags = info.get("flags", info.get("features", "")).split()
    return Environment(
        cpu=info.get("model name", platform.processor() or platform.machine()),
        cpu_flags=[flag for flag in _TELLING_FLAGS if flag in flags],
        logical_cpus=os.cpu_count() or 1,
        usable_cpus=len(usable_cpus()),
        memory_bytes=_memory_bytes(),
        virtual_machine="hypervisor" in flags if flags else None,
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source=_read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages=_versions(),
    )


def usable_cpus() -> set[int]:
    """Return the numbers of the processors this process may run on."""
    return os.sched_getaffinity(0)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _cpu_info() -> dict[str, str]:
    """Return the first processor's entry of /proc/cpuinfo."""
    entry: dict[str, str] = {}
    for line in (_read("/proc/cpuinfo") or "").split("\n"):
        key, _, value = line.partition(":")
        if not line.strip() and entry:
            break
        entry[key.strip().lower()] = value.strip()
    return entry


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
