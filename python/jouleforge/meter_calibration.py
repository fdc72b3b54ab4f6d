"""Calibration: what a user's own meter says of a counter's gain and offset.

Vendors state no accuracy, and boards are published to be wrong by -8 to +13 % against a meter at
the wall. Who has such a meter writes down what it found, board by board, in a TOML file:

    [[device]]
    uuid = "GPU-5f3c…"          # as nvidia-smi -L prints it, or a RAPL domain: "package-0"
    gain = 1.046
    offset_w = -1.2
    date = 2026-03-01
    meter = "Yokogawa WT310"
    serial = "C3WA01024"        # optional
"""

import datetime
import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from jouleforge import digest
from jouleforge.data import read_toml
from jouleforge.errors import InputError
from jouleforge.stored import Stored

_ID = 12
"""Characters of a digest that tell two calibrations apart."""


class Correction(Stored):
    """What is done to the joules of one device, and who found that."""

    gain: Annotated[float, Field(ge=0.5, le=2.0)]
    """The meter's watts over the counter's, without the offset."""
    offset_w: Annotated[float, Field(allow_inf_nan=False)]
    """What the meter shows beyond that, in W."""
    date: datetime.date
    meter: Annotated[str, Field(min_length=1)]
    serial: str | None = None

    @field_validator("date")
    @classmethod
    def _is_past(cls, date: datetime.date) -> datetime.date:
        # A day's grace: the file's author may live where it is tomorrow already.
        if date > datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1):
            raise ValueError("the date of a calibration cannot lie in the future")
        return date

    @property
    def id(self) -> str:
        """Return what no other calibration has in common with this one."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return digest.of_text(text)[:_ID]

    @property
    def text(self) -> str:
        """Return the sentence part that reports print in place of the unstated gain."""
        serial = f", serial {self.serial}" if self.serial else ""
        return (
            f"gain {self.gain:g}, offset {self.offset_w:+g} W, found on {self.date} with "
            f"{self.meter}{serial} (calibration {self.id})"
        )

    def joules(self, counted_j: float, window_s: float) -> float:
        """Return what the meter would have shown of a window, in J."""
        return self.gain * counted_j + self.offset_w * window_s


class AppliedCalibration(Stored):
    """A correction that was made, and what the counter itself said."""

    id: str
    """The correction's own."""
    correction: Correction
    counted_j: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Joules of the counter, as it gave them."""

    @classmethod
    def of(cls, correction: Correction, counted_j: float) -> "AppliedCalibration":
        """Return a correction as it is kept in a row."""
        return cls(id=correction.id, correction=correction, counted_j=counted_j)

    @model_validator(mode="after")
    def _is_its_own(self) -> "AppliedCalibration":
        if self.id != self.correction.id:
            raise ValueError(f"the calibration is {self.correction.id}, not {self.id}; was the "
                             "file edited?")  # fmt: skip
        return self


class DeviceCalibration(Correction):
    """One device of a calibration file."""

    uuid: Annotated[str, Field(min_length=1)]
    """A GPU's UUID, or the name of a RAPL domain."""

    @property
    def correction(self) -> Correction:
        """Return it without the device it belongs to."""
        return Correction(**{name: getattr(self, name) for name in Correction.model_fields})


class Calibration(Stored):
    """A calibration file: the devices that a user has set against a meter."""

    device: Annotated[tuple[DeviceCalibration, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_device_twice(self) -> "Calibration":
        names = [device.uuid for device in self.device]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands twice; one calibration holds at a time")
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """Return what a TOML file says.

        Raises:
            InputError: It cannot be read, lacks a key, or holds a gain or a date that cannot be.
        """
        return read_toml(Path(path), cls)

    def of(self, name: str) -> Correction:
        """Return the correction of a device by its UUID or domain.

        Raises:
            InputError: The file does not know it.
        """
        for found in self.device:
            if found.uuid == name:
                return found.correction
        known = ", ".join(device.uuid for device in self.device)
        raise InputError(
            f"the calibration file says nothing of {name}, which is to be measured; it knows "
            f"{known}. Add a [[device]] for it, or measure without the file"
        )
