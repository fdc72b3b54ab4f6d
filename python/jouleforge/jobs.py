"""Jobs: what a study does in a fresh process, one job a process.

`python -m jouleforge.jobs FILE` does the job a JSON file describes. A process of its own gives
every measurement the same empty heap and thread pools, and no other runtime beside it.
"""

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from jouleforge import extras
from jouleforge.errors import JouleforgeError
from jouleforge.files import write_atomic
from jouleforge.measurement import Block, WorkloadSpec
from jouleforge.meter_calibration import Calibration
from jouleforge.recipe import Recipe
from jouleforge.schedule import Schedule
from jouleforge.stored import Stored

_PR_SET_PDEATHSIG = 1


class ConvertJob(Stored):
    """Convert a checkpoint into an engine."""

    kind: Literal["convert"] = "convert"
    checkpoint: str
    recipe: Recipe
    engine: Path
    task: str | None
    """Where calibration rows and the gate's rows come from."""
    allow_pickle: bool = False

    def run(self) -> None:
        """Write the engine, replacing what may be left of another one."""
        from jouleforge.converters import convert

        convert(
            self.checkpoint,
            self.recipe,
            self.engine,
            task=self.task,
            force=True,
            allow_pickle=self.allow_pickle,
        )


class MeasureJob(Stored):
    """Measure an engine once, and write the row."""

    kind: Literal["measure"] = "measure"
    engine: Path
    workload: WorkloadSpec
    threads: int
    schedule: Schedule
    energy: str
    calibration: Calibration | None = None
    block: Block
    temperature_c: int | None = None
    """What the block's first window began at."""
    row: Path
    arrival_seed: int | None = None

    def run(self) -> None:
        """Write the measurement, whole or not at all."""
        from jouleforge.protocol import measure

        found = measure(
            self.engine,
            self.workload,
            threads=self.threads,
            schedule=self.schedule,
            energy_source=self.energy,
            arrival_seed=self.arrival_seed,
            temperature_c=self.temperature_c,
            calibration=self.calibration,
        )
        row = found.model_copy(update={"block": self.block})
        write_atomic(self.row, row.model_dump_json() + "\n")


Job = Annotated[ConvertJob | MeasureJob, Field(discriminator="kind")]
_JOB: TypeAdapter[ConvertJob | MeasureJob] = TypeAdapter(Job)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that ends.

    Without it, a killed study would leave a measurement behind that disturbs the next one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


def main() -> None:
    """Do the job named on the command line; exit with the error's code."""
    file, parent = Path(sys.argv[1]), int(sys.argv[2])
    _end_with(parent)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        with extras.named():
            _JOB.validate_json(file.read_text(encoding="utf-8")).run()
    except JouleforgeError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
