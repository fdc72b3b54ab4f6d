"""Timing cache: what the builder measured of kernels, kept for the next build on this machine."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jouleforge.cuda import Gpu
from jouleforge.nvinfer import Library
from jouleforge.nvinfer.api import IBuilderConfig


def folder() -> Path:
    """Return the folder of the caches: `$XDG_CACHE_HOME/jouleforge`, or `~/.cache/jouleforge`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jouleforge" / "tensorrt"


def file(library: Library, gpu: Gpu) -> Path:
    """Return the cache's file: timings hold for one TensorRT, one GPU and one driver."""
    major, minor = gpu.compute_capability
    parts = (library.version, gpu.name, f"sm{major}{minor}", gpu.driver or f"cuda{gpu.cuda}")
    return folder() / ("_".join(re.sub(r"[^\w.]+", "-", part) for part in parts) + ".timing")


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache; without a file, there is none and nothing is done."""

    path: Path | None

    def use(self, config: IBuilderConfig) -> None:
        """Give the builder what earlier builds measured; without content it starts anew.

        TensorRT itself refuses a cache of another version or GPU, and then measures again.
        """
        if self.path is None:
            return
        content = self.path.read_bytes() if self.path.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(content), ignore_mismatch=False)

    def keep(self, config: IBuilderConfig) -> None:
        """Store what the build measured; a reader never sees half a file."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = bytes(config.get_timing_cache().serialize())
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as scratch:
            scratch.write(content)
        Path(scratch.name).replace(self.path)
