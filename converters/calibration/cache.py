"""Cache of statistics: the same graph on the same rows is not run twice."""

import hashlib
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import onnx

from jouleforge.converters.calibration.observe import observe
from jouleforge.converters.calibration.rows import Rows
from jouleforge.converters.calibration.statistics import TensorStatistics

_log = logging.getLogger(__name__)

# To be raised whenever what is stored, or how it is gathered, changes.
_FORMAT = 1


def folder() -> Path:
    """Return where statistics are kept: `$JOULEFORGE_CACHE`, else the user's cache folder."""
    named = os.environ.get("JOULEFORGE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if os.environ.get("JOULEFORGE_CACHE"):
        return Path(str(named)) / "calibration"
    return Path(named or Path.home() / ".cache") / "jouleforge" / "calibration"


def observe_once(
    graph: onnx.ModelProto, tensors: list[str], rows: Rows
) -> dict[str, TensorStatistics]:
    """Return the statistics of some tensors over the rows, from the cache if they are there.

    What cannot be read or written there is gathered anew, and costs time only.
    """
    content = hashlib.sha256(f"{_FORMAT} {rows.digest} {tensors}\n".encode())
    content.update(graph.SerializeToString(deterministic=True))
    file = folder() / f"{content.hexdigest()}.npz"
    if (stored := _read(file, tensors)) is not None:
        _log.info("ranges were cached")
        return stored
    found = observe(graph, tensors, rows.batches)
    _write(file, found)
    return found


def _read(file: Path, tensors: list[str]) -> dict[str, TensorStatistics] | None:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {
                name: TensorStatistics.of_arrays(
                    {part: stored[f"{name}/{part}"] for part in ("span", "channel_max", "counts")}
                )
                for name in tensors
            }
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write(file: Path, found: dict[str, TensorStatistics]) -> None:
    arrays = {
        f"{name}/{part}": array
        for name, seen in found.items()
        for part, array in seen.arrays().items()
    }
    fresh = file.with_suffix(f".{os.getpid()}.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(fresh, **arrays)  # type: ignore[arg-type]
        fresh.replace(file)
    except OSError as error:
        _log.info("ranges were not cached: %s", error)
    finally:
        fresh.unlink(missing_ok=True)
