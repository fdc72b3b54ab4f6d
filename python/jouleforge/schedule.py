"""Schedule: how long to run, and how the work arrives."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jouleforge.packed import PackedArray
from jouleforge.stored import Stored

Scenario = Literal["offline", "single-stream", "multi-stream", "server"]
Wait = Literal["spin", "block"]

_BY_LENGTH = ("sorted", "exact", "bucket")
"""Padding policies that must have seen all texts to form a batch."""


class Schedule(Stored):
    """How long to run, and how the work arrives."""

    warmup_s: Annotated[float, Field(ge=0)] = 1.0
    duration_s: Annotated[float, Field(gt=0)] = 10.0
    min_passes: Annotated[int, Field(ge=1)] = 1
    """Whole passes over the data to time at least; only whole passes are timed."""
    scenario: Scenario = "offline"
    """`offline`: batches of the workload's size, one after the other. `single-stream`: queries of
    one example, each when the last is done. `multi-stream`: the same with several examples a query.
    `server`: queries of one example that arrive at random (Poisson)."""
    samples_per_query: Annotated[int, Field(ge=1)] | None = None
    """Examples of a query of `multi-stream`; `None` is 8 there."""
    rate_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Queries per second that arrive in `server`."""
    load: Annotated[float, Field(gt=0, le=1)] | None = None
    """The same as a share of what the engine answers one after the other, just before."""
    wait: Wait = "block"
    """How `server` waits for an arrival: `spin` reads the clock all the while, `block` sleeps until
    shortly before. The others never wait."""
    quick: bool = False
    """Good for a look: every report then says so."""
    longest_warmup_s: Annotated[float, Field(ge=0)] = 20.0
    """The warm-up goes on until batch times show no trend, but no longer than this. With no warm-up
    at all, or one that is as long, that is not looked at."""
    idle_s: Annotated[float, Field(ge=0)] = 10.0
    """How long the idle power is read before and after the load, where there is a meter; 0 leaves
    it out, and with it the dynamic joules."""

    @model_validator(mode="after")
    def _suits_the_scenario(self) -> "Schedule":
        owners = {
            "samples_per_query": "multi-stream",
            "rate_per_s": "server",
            "load": "server",
            "wait": "server",
        }
        for name, owner in owners.items():
            is_set = getattr(self, name) != type(self).model_fields[name].default
            if is_set and self.scenario != owner:
                raise ValueError(f"{name} is for the scenario {owner}, not for {self.scenario}")
        if self.scenario == "server" and (self.rate_per_s is None) == (self.load is None):
            found = "neither" if self.load is None else "both"
            raise ValueError(
                f"the scenario server takes rate_per_s or load (a share of the capacity), {found} "
                "given"
            )
        return self

    @property
    def trend_limit_s(self) -> float:
        """Up to when the warm-up waits for batch times without a trend; 0 if it does not."""
        return self.longest_warmup_s if self.warmup_s else 0.0

    @property
    def is_closed_loop(self) -> bool:
        """Whether a batch follows the last at once, so that pauses are for a sensor's sake only."""
        return self.scenario != "server"

    @property
    def query_size(self) -> int | None:
        """Examples of one query; `None` in `offline`, whose batches are the workload's own."""
        if self.scenario == "offline":
            return None
        return (self.samples_per_query or 8) if self.scenario == "multi-stream" else 1

    @property
    def name(self) -> str:
        """The scenario with all that tells it from others of its kind."""
        if self.scenario == "multi-stream":
            return f"multi-stream of {self.query_size}"
        if self.scenario != "server":
            return self.scenario
        asked = f"{self.rate_per_s:g}/s" if self.rate_per_s else f"load {self.load:g}"
        return f"server at {asked}, {self.wait}"

    def misfit(self, *, batch_size: int | None, padding: str) -> str | None:
        """Return why queries cannot be such batches; `None` if they can.

        Args:
            batch_size: Examples of a batch; `None` if nobody asked for any number.
            padding: The padding policy.
        """
        size = self.query_size
        if size is not None and batch_size not in (None, size):
            advice = ", or give samples_per_query" if self.scenario == "multi-stream" else ""
            return (
                f"a query of the scenario {self.scenario} holds {size}, not a batch size of "
                f"{batch_size}; leave the batch size out{advice}"
            )
        if self.scenario == "multi-stream" and padding.partition(":")[0] in _BY_LENGTH:
            return (
                f"padding {padding!r} chooses the examples of a query by their length, while those "
                "of multi-stream come as they are; choose longest or static:N"
            )
        return None


class Arrivals(Stored):
    """When the queries of the scenario `server` were meant to arrive."""

    rate_per_s: float
    """Queries per second: what was asked for, or the load times the capacity."""
    capacity_per_s: float
    """Queries per second that the engine answered one after the other, just before the window."""
    seed: int
    """Of the exponential gaps between arrivals."""
    intended_ns: PackedArray
    """int64, passes x queries in the order they ran, from the beginning of the window."""
