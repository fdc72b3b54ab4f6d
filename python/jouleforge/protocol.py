"""Protocol: how one engine is measured - time, energy and answers in the same window."""

import gc
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jouleforge import (
    energy,
    environment,
    garbage,
    instructions,
    runners,
    scenarios,
    scoring,
    work,
)
from jouleforge.caveats import Caveat
from jouleforge.energy import EnergyReading
from jouleforge.engine import Engine
from jouleforge.environment import Environment
from jouleforge.errors import GateError, InputError
from jouleforge.labels import LabelMap
from jouleforge.measurement import (
    EngineRef,
    Measurement,
    Memory,
    ThermalGate,
    WorkloadSpec,
)
from jouleforge.meter_calibration import Calibration
from jouleforge.runners import Session
from jouleforge.scenarios import Timed
from jouleforge.schedule import Schedule
from jouleforge.surroundings import Surroundings
from jouleforge.workload import Workload, engine_workload

_log = logging.getLogger(__name__)

# Below this, one slow pass can decide the result.
_ENOUGH_PASSES = 3


@dataclass(frozen=True, slots=True)
class _Window:
    """The timed window: stamps, energy and the logits that were written during it."""

    timed: Timed
    readings: list[EnergyReading]
    thermal: ThermalGate | None
    memory: Memory
    logits: NDArray[np.float32]
    """In the data's own order, shape (examples, outputs)."""


def measure(
    engine: Engine | str | Path,
    workload: WorkloadSpec,
    *,
    threads: int,
    schedule: Schedule | None = None,
    energy_source: str = "auto",
    arrival_seed: int | None = None,
    temperature_c: int | None = None,
    calibration: Calibration | None = None,
) -> Measurement:
    """Run an engine over a task's texts in this process, and return all that it showed.

    The batches are prepared before; the window holds whole passes over the data; the answers that
    are scored are those that were written while the clock and the energy counter ran.

    Args:
        engine: An engine or its folder.
        workload: Which rows, and how they are batched.
        threads: Threads the runtime may use.
        schedule: How long to run; `None` is the default schedule.
        energy_source: A name from `jouleforge.energy`, or `auto`.
        arrival_seed: Of the arrivals of the scenario `server`; `None` draws one for each call, so
            that repeats are independent. The row names it.
        temperature_c: What a GPU that is metered is brought to before, within 2 C and a minute.
        calibration: What a meter at the wall says of the counter, to correct its joules by.

    Raises:
        InputError: The engine, the task or a value cannot be used.
        MissingError: The engine's runtime is not installed.
        GateError: The engine did not write all of its answers, or wrote NaN.
        KeyboardInterrupt: The run was interrupted.
    """
    if not isinstance(engine, Engine):
        engine = Engine.open(engine)
    usable = len(environment.usable_cpus())
    if not 1 <= threads <= usable:
        raise InputError(f"threads must be from 1 to the {usable} usable processors, not {threads}")
    schedule = schedule or Schedule()
    workload = scenarios.fitted(workload, schedule)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    built = engine_workload(engine, workload)
    labels = scoring.match_head(engine, built)
    source = energy.open_source(
        energy_source, device=engine.manifest.recipe.device, calibration=calibration
    )
    started = time.monotonic()
    session = runners.load(engine, threads=threads)
    load_s = time.monotonic() - started
    window = _run(session, engine, built, schedule, source, arrival_seed, temperature_c)
    here = environment.capture()
    quality, notes = scoring.score(window.logits, built, labels)
    caveats = _caveats(engine, built, labels, window, schedule, here)
    return Measurement(
        started_at=started_at,
        engine=_engine_ref(engine, session),
        workload=built.spec,
        facts=built.facts,
        schedule=schedule,
        threads=threads,
        timing=window.timed.timing(batches=len(built.batches), load_s=load_s),
        energy=window.readings,
        quality=quality,
        memory=window.memory,
        environment=here,
        caveats=sorted({*caveats, *notes}),
        notes=[
            *notes.values(),
            *([labels.note] if labels and labels.by_position else []),
            *([window.timed.overload] if window.timed.overload else []),
            *([window.thermal.note] if window.thermal and window.thermal.note else []),
        ],
        thermal=window.thermal,
    )


def _run(
    session: Session,
    engine: Engine,
    workload: Workload,
    schedule: Schedule,
    source: energy.EnergySource,
    arrival_seed: int | None,
    temperature_c: int | None,
) -> _Window:
    outputs = len(engine.manifest.checkpoint.labels)
    # NaN until written: an answer that the window did not produce cannot pass for one.
    buffers = [
        np.full((len(batch.rows), outputs), np.nan, dtype=np.float32) for batch in workload.batches
    ]
    runner = session.prepare([batch.inputs for batch in workload.batches], buffers)
    # A meter that waits for edges opens its window late and closes it early, within the load.
    lasts_s = schedule.duration_s + source.lead_s

    def open_window() -> None:
        for buffer in buffers:
            buffer.fill(np.nan)
        source.start(lasts_s=lasts_s)

    _log.info("measuring %s on %s", engine.name, workload.spec.task)
    around = Surroundings(
        source,
        schedule,
        runner,
        batches=len(workload.batches),
        device=engine.manifest.recipe.device,
        temperature_c=temperature_c,
    )
    gc.collect()
    with garbage.paused():
        timed = scenarios.run(
            runner,
            batches=len(workload.batches),
            schedule=schedule,
            lasts_s=lasts_s,
            on_warm=open_window,
            sensor_tick_s=source.sensor_tick_s,
            arrival_seed=arrival_seed,
        )
        readings = source.stop()
    memory = around.memory()
    counted = [work.count(one, timed.trace, batches=len(workload.batches)) for one in readings]
    return _Window(
        timed=timed,
        readings=around.completed(counted),
        thermal=around.gate(counted),
        memory=memory,
        logits=_gathered(buffers, engine, workload),
    )


def _gathered(
    buffers: list[NDArray[np.float32]], engine: Engine, workload: Workload
) -> NDArray[np.float32]:
    """Return the answers in the data's own order, of which none may be missing."""
    shape = (workload.facts.examples, len(engine.manifest.checkpoint.labels))
    logits = np.full(shape, np.nan, dtype=np.float32)
    for batch, buffer in zip(workload.batches, buffers, strict=True):
        logits[batch.rows] = buffer
    if np.isnan(logits).any():
        rows = int(np.isnan(logits).any(axis=1).sum())
        raise GateError(
            f"{engine.path} answered NaN, or not at all, to {rows} of {len(logits)} examples; "
            "nothing was recorded"
        )
    return logits


def _caveats(
    engine: Engine,
    workload: Workload,
    labels: LabelMap | None,
    window: _Window,
    schedule: Schedule,
    here: Environment,
) -> list[Caveat]:
    readings = window.readings
    counted = [reading for reading in readings if reading.joules]
    classes = {reading.energy_class for reading in readings}
    built_on = engine.manifest.built_on
    tests = {
        Caveat.SYNTHETIC_TEXT: workload.task.synthetic,
        Caveat.ENERGY_UNAVAILABLE: classes == {"unavailable"},
        Caveat.ENERGY_ESTIMATED: "estimated" in classes,
        Caveat.ENERGY_INTEGRATED: "integrated" in classes,
        Caveat.METER_UNCHECKED: any(one.detail and not one.detail.checked_at for one in counted),
        Caveat.DITHERED: schedule.is_closed_loop and any(one.paused_s for one in counted),
        Caveat.SENSOR_GAIN: any(one.detail and not one.calibration for one in counted),
        Caveat.POWER_CAPPED: any(one.detail and one.detail.power_capped for one in readings),
        Caveat.METER_ELSEWHERE: engine.manifest.recipe.device == "cpu"
        and any(one.scope == "gpu_board" and one.joules for one in readings),
        Caveat.TRUNCATED: workload.facts.truncated > 0,
        Caveat.LABELS_BY_POSITION: labels is not None and labels.by_position,
        Caveat.OTHER_DEVICE: built_on.cpu != here.cpu,
        Caveat.FEW_PASSES: window.timed.trace.passes < _ENOUGH_PASSES,
        Caveat.OVERLOADED: window.timed.overload is not None,
        Caveat.QUICK: schedule.quick,
        Caveat.NOT_STEADY: not window.timed.warmed.steady,
        Caveat.ROWS_LIMITED: workload.spec.limit is not None,
        Caveat.CLOCK: not here.clock_is_good,
        Caveat.INT8_SATURATES: _int8_saturates(engine, here),
        Caveat.SLOW_PRECISION: instructions.lacking(engine.manifest.recipe, here) is not None,
        Caveat.UNGATED: engine.manifest.gate is None,
        **dict.fromkeys(engine.manifest.audit.allowed, True),
    }
    origin = engine.manifest.origin
    found = [caveat for caveat, applies in tests.items() if applies]
    return found + list(origin.caveats if origin else ())


def _int8_saturates(engine: Engine, here: Environment) -> bool:
    """Return whether INT8 products go through 16-bit sums, as ONNX Runtime's do on older x86.

    `vpmaddubsw` adds two products of an unsigned and a signed byte in 16 bits and saturates.
    """
    recipe = engine.manifest.recipe
    x86 = "avx2" in here.cpu_flags
    int8 = recipe.multiplied_in == "int8"
    return recipe.target == "ort" and x86 and int8 and not instructions.has("int8", here)


def _engine_ref(engine: Engine, session: Session) -> EngineRef:
    checkpoint = engine.manifest.checkpoint
    return EngineRef(
        name=engine.name,
        digest=engine.digest,
        recipe=engine.manifest.recipe,
        checkpoint=checkpoint.name,
        checkpoint_digest=checkpoint.digest,
        parameters=checkpoint.parameters,
        runtime=session.runtime,
        origin=engine.manifest.origin,
    )
