"""Record: what was built, from what and how, beside the plan that says little about itself."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from jouleforge.errors import InputError
from jouleforge.nvinfer import LibraryName
from jouleforge.stored import Stored

PLAN = "model.plan"
RECORD = "build.json"


class Profile(Stored):
    """Range of shapes, each (batch, sequence), that one part of the plan is compiled for."""

    smallest: tuple[int, int]
    best: tuple[int, int]
    """The shape whose kernels were timed."""
    largest: tuple[int, int]

    def takes(self, batch: int, sequence: int) -> bool:
        """Return whether this shape is in the range."""
        return (
            self.smallest[0] <= batch <= self.largest[0]
            and self.smallest[1] <= sequence <= self.largest[1]
        )


class ProductRecord(Stored):
    """One matrix product of the graph that was built."""

    name: str
    """Name of the ONNX node."""
    precision: str
    """Format of the factors as the graph types them: fp32, fp16, bf16, int8, fp8."""
    weighted: bool
    factors: tuple[int | str, ...]
    """Sizes whose product is the number of multiply-adds; a string is a dynamic dimension."""


class LayerRecord(Stored):
    """One layer of the plan, as TensorRT's inspector describes it."""

    name: str
    kind: str
    tactic: str
    formats: tuple[str, ...]
    """Data types of its inputs, in TensorRT's words."""
    nodes: tuple[str, ...]
    """ONNX nodes that it computes."""
    profile: int


class BuildRecord(Stored):
    """Content of `build.json`."""

    schema_version: Literal[1] = 1
    library: LibraryName
    version: str
    gpu: str | None
    """The GPU whose kernels were timed; None where the build needed none."""
    compute_capability: tuple[int, int] | None
    driver: str | None
    tf32: bool
    """Whether FP32 products may be computed with TF32 factors, as the builder was told."""
    version_compatible: bool
    lean: bool
    inputs: tuple[str, ...]
    """Names of the inputs, each int64 of shape (batch, sequence)."""
    profiles: tuple[Profile, ...]
    products: tuple[ProductRecord, ...]
    attention_recognised: bool
    """Whether the builder said so; what kernels it chose is seen in the layers."""
    layers: tuple[LayerRecord, ...]
    layers_from: Literal["engine inspector", "build log"]
    log: tuple[str, ...]
    """The lines of the builder's log that tell something: warnings, and what was recognised."""

    def profile_of(self, batch: int, sequence: int) -> int:
        """Return the index of the first profile that takes this shape.

        Raises:
            InputError: None does.
        """
        for index, profile in enumerate(self.profiles):
            if profile.takes(batch, sequence):
                return index
        largest = self.profiles[-1].largest
        raise InputError(
            f"a batch of {batch} rows and {sequence} tokens does not fit this TensorRT engine, "
            f"which takes up to {largest[0]} rows and {largest[1]} tokens; convert with a larger "
            "--max-batch or --max-length, or measure smaller batches"
        )


def write(folder: Path, record: BuildRecord) -> None:
    """Store the record."""
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> BuildRecord:
    """Return the record of the plan in a folder.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    try:
        return BuildRecord.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(f"{folder / RECORD} is no record of a TensorRT build: {error}") from error
