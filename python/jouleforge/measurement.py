"""Measurement: one JSON line that holds all that one run of one engine showed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from jouleforge.caveats import Caveat
from jouleforge.energy import EnergyReading
from jouleforge.environment import Environment
from jouleforge.errors import InputError
from jouleforge.origin import Origin
from jouleforge.packed import PackedArray
from jouleforge.recipe import Recipe
from jouleforge.schedule import Arrivals, Schedule
from jouleforge.stored import Stored

SCHEMA_VERSION: Literal[1] = 1

_MOST_APART_C = 2


class EngineRef(Stored):
    """Which engine ran."""

    name: str
    digest: str
    recipe: Recipe
    checkpoint: str
    checkpoint_digest: str
    parameters: int
    runtime: str
    """Name and version of the runtime that executed it, as the runtime gives it."""
    origin: Origin | None = None
    """Who made its graph; `None` if jouleforge converted it."""


class WorkloadSpec(Stored):
    """What to run: the rows, and how they are put into batches."""

    task: str
    """Shipped task or task file; in a measurement, the task's name."""
    split: Literal["calibration", "selection", "test"] = "test"
    batch_size: Annotated[int, Field(ge=1)] = 32
    padding: str = "sorted"
    """Padding policy: `static:N`, `longest`, `sorted`, `exact`, `bucket:N,N,…` or
    `bucket:auto:K`."""
    order_seed: int = 0
    limit: int | None = None
    """Use a fixed sample of that many rows; `None` is all of them."""
    sample_seed: int = 0
    """Another seed draws another sample."""


class WorkloadFacts(Stored):
    """What the workload turned out to be, in examples and tokens."""

    kind: Literal["single-label", "multi-label", "regression"]
    source: str
    """File or data set the rows came from."""
    digest: str
    """SHA-256 over the texts and labels."""
    batches_digest: str
    """SHA-256 over every batch's token ids and masks, in order."""
    examples: int
    batches: int
    real_tokens: int
    """Tokens of the texts themselves, special tokens included, padding excluded."""
    computed_tokens: int
    """Tokens the engine had to compute: batch rows times padded length, summed."""
    truncated: int
    """Examples cut to fit."""
    tokenize_s: float
    """Time to tokenise all examples once; never part of the engine's time."""

    @property
    def padding_fraction(self) -> float:
        """Share of the computed tokens that is padding."""
        return 1 - self.real_tokens / self.computed_tokens


class Timing(Stored):
    """When each batch was done, on the monotonic clock."""

    load_s: float
    """Time to open the engine; not part of the timed window."""
    passes: int
    wall_s: float
    """Length of the timed window, without pauses for the sake of a power sensor; with the waits for
    arrivals of the scenario `server`."""
    latencies_ns: PackedArray
    """int64, passes x batches in the order they ran: time of each batch, which is a query where the
    scenario has queries; in `server` from its intended arrival on."""
    arrivals: Arrivals | None = None
    """Of the scenario `server`; `None` in the others."""

    warmup_s: float | None = None
    """How long the engine ran before; `None` in rows of old."""
    warmup_runs: int | None = None
    steady: bool | None = None
    """Whether batch times had no trend any more then; `None` if that was not looked at."""

    def latency_ns(self) -> NDArray[np.int64]:
        """Return the time of each batch in ns, shape (passes, batches)."""
        return self.latencies_ns.unpack().astype(np.int64)


class Quality(Stored):
    """What the engine answered in the timed window, and how good that was."""

    metrics: dict[str, float | None]
    """Every metric of the task's kind; `None` where it is undefined for these answers."""
    headline: str
    """Name of the task's own metric among `metrics`."""
    majority_rate: float | None
    """Share of the most frequent class; `None` for other kinds than single-label."""
    decisions: PackedArray
    """The answer to each example in the data's order: class index, one bit a label, or value."""
    correct: PackedArray | None
    """Whether each of them was right, bool in the same order; `None` for regression, where there is
    no right or wrong."""
    outputs_digest: str
    """SHA-256 over the logits in the data's own order."""

    @model_validator(mode="after")
    def _agrees(self) -> "Quality":
        accuracy = self.metrics.get("accuracy")
        if accuracy is not None and self.correct is not None:
            share = float(self.correct.unpack().mean())
            if abs(share - accuracy) > 1e-6:
                raise ValueError(
                    f"accuracy is {accuracy:.6g}, but {share:.6g} of the answers are marked right; "
                    "was the file edited?"
                )
        return self


def _over(peak: int | None, level: int | None) -> int | None:
    return None if peak is None or level is None else max(0, peak - level)


class Memory(Stored):
    """Memory of the measuring process, and what of it is the work's."""

    peak_rss_bytes: int | None
    """Peak resident set of the whole process, the loading of the engine included."""
    reason: str | None = None
    """Why the level or the peak at work is missing."""
    loaded_rss_bytes: int | None = None
    """Resident set with the engine loaded and its batches prepared, before the first one ran."""
    working_peak_rss_bytes: int | None = None
    """Peak resident set from then to the end of the timed loop."""
    loaded_gpu_bytes: int | None = None
    """The same two of the GPU's memory; `None` on a processor, and with a reason on a GPU."""
    working_peak_gpu_bytes: int | None = None
    gpu_reason: str | None = None

    @property
    def working_rss_bytes(self) -> int | None:
        """Return by how much the resident set grew at work."""
        return _over(self.working_peak_rss_bytes, self.loaded_rss_bytes)

    @property
    def working_gpu_bytes(self) -> int | None:
        """Return by how much the process's part of the GPU's memory grew at work."""
        return _over(self.working_peak_gpu_bytes, self.loaded_gpu_bytes)


class ThermalGate(Stored):
    """How a window came to its block's temperature."""

    reference_c: int
    """What the first window of the block began at."""
    waited_s: float
    begin_c: int | None = None
    """What this one began at; `None` if the GPU did not tell."""

    @staticmethod
    def is_near(one_c: int, other_c: int) -> bool:
        """Return whether two temperatures count as equal."""
        return abs(one_c - other_c) <= _MOST_APART_C

    @property
    def note(self) -> str:
        """Return what a reader must know; empty if the window began as it should."""
        if self.begin_c is not None and self.is_near(self.begin_c, self.reference_c):
            return ""
        found = "an unknown temperature" if self.begin_c is None else f"{self.begin_c} C"
        return (
            f"The window began at {found} and not within {_MOST_APART_C} C of its block's "
            f"{self.reference_c} C (waited for {self.waited_s:.0f} s)."
        )


def begin_c(readings: Sequence[EnergyReading]) -> int | None:
    """Return what the GPU's window began at; None if there is none, or it does not tell."""
    found = [reading.detail.temperature_begin_c for reading in readings if reading.detail]
    return found[0] if found else None


class Block(Stored):
    """Where the measurement stands in a study; absent from a single one."""

    cell: str
    """Digest of the cell (engine and workload and threads)."""
    repeat: int
    """Number of the interleaved block; rows of one block are compared in pairs."""
    position: int
    """Place in the block's random order."""
    twin: bool = False
    """Whether it is the cell's second measurement in the block, to set it against itself (A/A)."""
    planned: int | None = None
    """How many blocks the study measures whatever they show; `None` in rows of old."""
    most: int | None = None
    """Up to how many it may go on, for the sake of narrow intervals; `None` if it does not."""


class Measurement(Stored):
    """All that one run of one engine showed; time, energy and answers are of the same window."""

    schema_version: Literal[1] = SCHEMA_VERSION
    started_at: str
    """Date and time in UTC, ISO 8601."""
    engine: EngineRef
    workload: WorkloadSpec
    facts: WorkloadFacts
    schedule: Schedule
    threads: int
    timing: Timing
    energy: list[EnergyReading]
    quality: Quality
    memory: Memory
    environment: Environment
    caveats: list[Caveat]
    notes: list[str] = Field(default_factory=list)
    """Sentences that explain a caveat for this very run."""
    block: Block | None = None
    thermal: ThermalGate | None = None
    """`None` on a processor, and for the first window of a block, which sets the temperature."""

    @model_validator(mode="before")
    @classmethod
    def _of_old(cls, row: object) -> object:
        """Say of rows from before there was more that they had a fixed warm-up and no rest."""
        if isinstance(row, dict) and isinstance(row.get("timing"), dict):
            schedule = row.get("schedule")
            if "warmup_runs" not in row["timing"] and isinstance(schedule, dict):
                return {**row, "schedule": {"longest_warmup_s": 0.0, "idle_s": 0.0} | schedule}
        return row

    @property
    def examples_run(self) -> int:
        """Examples answered in the timed window."""
        return self.facts.examples * self.timing.passes

    def examples_of(self, reading: EnergyReading) -> float:
        """Return the examples answered within a reading's own window."""
        return self.facts.examples * (reading.passes or self.timing.passes)

    @property
    def examples_per_s(self) -> float:
        """Throughput over the whole window."""
        return self.examples_run / self.timing.wall_s

    @property
    def headline(self) -> float | None:
        """Value of the task's own metric."""
        return self.quality.metrics[self.quality.headline]


def read_measurements(path: Path) -> list[Measurement]:
    """Return the measurements of a JSON-lines file, in file order.

    Raises:
        InputError: The file is missing or empty, or a line is no measurement; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read measurements from {path}: {error}") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(Measurement.model_validate_json(line))
        except ValidationError as error:
            raise InputError(f"{path}, line {number} {_why(line, error)}") from error
    if not rows:
        raise InputError(
            f"{path} holds no measurement; expected JSON lines of `jouleforge measure`"
        )
    return rows


def _why(line: str, error: ValidationError) -> str:
    try:
        version = json.loads(line).get("schema_version")
    except (ValueError, AttributeError):
        return "is no JSON object; is the file cut off? Remove that line or measure again"
    if version != SCHEMA_VERSION:
        return f"has schema_version {version!r}; this jouleforge reads {SCHEMA_VERSION}"
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"is no measurement: {where}: {first['msg']}"
