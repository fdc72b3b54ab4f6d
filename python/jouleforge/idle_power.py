"""What a device draws with an engine loaded and nothing running, and what a total is without it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from jouleforge.stored import Stored

Watts = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Joules = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class IdlePower(Stored):
    """Power before and after one window's load, and what follows for the window's joules."""

    before_w: Watts | None
    """`None` where it could not be read; `reason` then says why."""
    after_w: Watts | None
    dynamic_joules: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    """The window's joules less those that the device would have used in it without any work."""
    reason: str | None = None
    """Why there are no dynamic joules; begins with a code."""
    pause_joules: Joules = 0.0
    """What the device used, at its idle power, in the pauses for the sake of a part-time sensor. It
    is part of the window's joules and not of the work's."""

    pause_uncertainty_joules: Joules = 0.0
    """Half of that: right after a load, power is above that of rest."""

    @model_validator(mode="after")
    def _joules_or_a_reason(self) -> Self:
        if (self.dynamic_joules is None) != bool(self.reason):
            raise ValueError("dynamic joules are null if, and only if, there is a reason")
        return self
