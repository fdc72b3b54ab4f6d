"""Proof: what a conversion checked and found, as the engine's manifest keeps it."""

from typing import Literal

from pydantic import Field

from jouleforge.caveats import Caveat
from jouleforge.stored import Stored


class ParityStage(Stored):
    """One comparison of logits against the eager float32 module on the same inputs."""

    name: str
    cases: int
    """Input batches: padded right, left and with holes, odd lengths, batch 1, single tokens."""
    rows: int
    max_abs_error: float
    rms_error: float
    bounded: Literal["max_abs_error", "rms_error"]
    """Which of the two errors must not pass the tolerance."""
    tolerance: float
    """Largest error allowed, in units of the logits."""
    decisions_equal: int
    """Rows whose decisions are the same as the reference's."""


class PolicyScore(Stored):
    """How an engine answers the selection split under one padding policy."""

    padding: str
    value: float | None
    """The task's metric; `None` where it is undefined for these answers."""
    drop: float
    """Points (hundredths) below the float32 module's metric; negative where it is better."""
    changed: float
    """Share of the decisions that differ from the float32 module's."""
    divergence: float
    """Mean distance of the answers from the module's: total variation between the class
    probabilities (the largest over labels for multi-label), or root mean square for regression."""


class Gate(Stored):
    """The task-level check: the engine against the float32 module on the selection split."""

    task: str
    metric: str
    rows: int
    digest: str
    """SHA-256 over the texts and labels."""
    reference: float | None
    """The float32 module's metric."""
    scores: tuple[PolicyScore, ...]


class Candidate(Stored):
    """One way to quantise that was built and scored."""

    calibrator: str
    kept_float: tuple[str, ...]
    scores: tuple[PolicyScore, ...]
    chosen: bool


class CalibrationRecord(Stored):
    """Where activation ranges came from, and what else was tried."""

    task: str
    source: str
    rows: int
    tokens: int
    duplicates: int
    """Rows whose text another row has too."""
    digest: str
    """SHA-256 over the texts and labels of the rows."""
    smoothed: dict[str, float] = Field(default_factory=dict)
    """Migration strength of SmoothQuant by activation, where it was used."""
    candidates: tuple[Candidate, ...]


class Audit(Stored):
    """What the runtime says it executes; see `converters.audit`."""

    source: str
    """What was read: a profile, the runtime's own model, an inspector."""
    shares: dict[str, float]
    """Share of the multiply-adds of all matrix products by the precision they ran in."""
    weighted_shares: dict[str, float]
    """The same of products with a weight only: without attention scores and their sums."""
    providers: dict[str, float]
    """Share of the multiply-adds by what executed them."""
    layers: int
    fused_attentions: int
    """Layers whose attention is one operator or kernel."""
    operators: dict[str, int]
    """Count of each kind of executed node; empty where the runtime does not tell."""
    tf32: bool
    """Whether FP32 products may be computed with TF32 factors."""
    allowed: dict[Caveat, str] = Field(default_factory=dict)
    """What was found wrong and allowed by the recipe."""
