"""Synthetic measurements for tests: every field is set, and the parts agree with each other."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jouleforge.caveats import Caveat
from jouleforge.energy import EnergyReading
from jouleforge.environment import Environment
from jouleforge.measurement import (
    Block,
    EngineRef,
    Measurement,
    Memory,
    Quality,
    Timing,
    WorkloadFacts,
    WorkloadSpec,
)
from jouleforge.packed import PackedArray
from jouleforge.recipe import Recipe
from jouleforge.schedule import Schedule

EXAMPLES = 200

EAGER = {"target": "pytorch", "flavour": "none", "attention": "eager"}
SDPA = {"target": "pytorch", "flavour": "none", "attention": "sdpa"}
ORT = {"target": "ort", "flavour": "fused", "attention": "none"}
INT8 = {**ORT, "precision": "int8-dynamic"}


def digest_of(value: object) -> str:
    """Return a digest that differs whenever the value does."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def truth(examples: int = EXAMPLES) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the labels of the synthetic task: two classes in equal parts."""
    return (np.arange(examples) % 2).astype(np.uint8)


def answers(
    *, wrong: Sequence[int] = (), examples: int = EXAMPLES
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return answers of which exactly these are wrong."""
    given = truth(examples)
    given[list(wrong)] ^= 1
    return given


def reading(joules: float | None, **changes: Any) -> EnergyReading:
    """Return a reading of a processor's counter; without joules it is unavailable."""
    values: dict[str, Any] = {
        "source": "rapl",
        "device": "package-0",
        "scope": "cpu_package",
        "energy_class": "unavailable" if joules is None else "counter",
        "joules": joules,
        "window_s": 2.0,
        "reason": "E_RAPL_ABSENT: no RAPL here" if joules is None else None,
        **changes,
    }
    return EnergyReading(**values)


def measurement(
    recipe: Mapping[str, str] = EAGER,
    *,
    examples_per_s: float = 100.0,
    repeat: int | None = None,
    joules_per_example: float | None = None,
    readings: Sequence[EnergyReading] | None = None,
    wrong: Sequence[int] = tuple(range(20)),
    given: np.ndarray[Any, Any] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    kind: str = "single-label",
    task: str = "sst2",
    data: str = "the data",
    examples: int = EXAMPLES,
    padding: str = "sorted",
    batch_size: int = 8,
    threads: int = 2,
    passes: int = 4,
    checkpoint: str = "tiny-bert",
    build: str = "first",
    runtime: str | None = None,
    schedule: Schedule | None = None,
    logits: str = "logits",
    caveats: Sequence[Caveat] = (),
    notes: Sequence[str] = (),
    cpu: str = "Test Processor 3000",
    packages: Mapping[str, str] | None = None,
    started_at: str | None = None,
    engine_name: str | None = None,
) -> Measurement:
    """Return one measurement; what is not given is that of a small sentiment task.

    The batches' times add up to the throughput to the ns. `joules_per_example` is by a processor's
    counter, `None` a reading without joules; `readings` replace it. `wrong` are the examples
    answered wrongly, `given` other answers; the first of `metrics` is the headline. `data`, `build`
    and `logits` are what digests are of. Blocks (`repeat`) begin an hour apart.
    """
    chosen = Recipe.model_validate({"precision": "fp32", **recipe})
    facts = _facts(kind=kind, data=data, examples=examples, padding=padding, batch=batch_size)
    timing = _timing(facts, examples_per_s=examples_per_s, passes=passes)
    if readings is None:
        total = joules_per_example and joules_per_example * examples * passes
        readings = [reading(total, window_s=timing.wall_s)]
    given = answers(wrong=wrong, examples=examples) if given is None else given
    spec = WorkloadSpec(task=task, batch_size=batch_size, padding=padding)
    return Measurement(
        started_at=started_at or f"2026-03-01T{10 + (repeat or 0) % 14:02}:00:00+00:00",
        engine=EngineRef(
            name=engine_name or chosen.name,
            digest=digest_of((chosen, checkpoint, build, engine_name)),
            recipe=chosen,
            checkpoint=checkpoint,
            checkpoint_digest=digest_of(checkpoint),
            parameters=4_386_178,
            runtime=runtime or ("torch 2.13.0" if chosen.target == "pytorch" else "ort 1.31.1"),
        ),
        workload=spec,
        facts=facts,
        schedule=schedule or Schedule(warmup_s=0.5, duration_s=3.0),
        threads=threads,
        timing=timing,
        energy=list(readings),
        quality=_quality(given, metrics, kind=kind, outputs=digest_of((logits, chosen))),
        memory=Memory(
            peak_rss_bytes=512 * 2**20,
            loaded_rss_bytes=400 * 2**20,
            working_peak_rss_bytes=424 * 2**20,
        ),
        environment=_environment(cpu, packages or {"torch": "2.13.0", "onnxruntime": "1.31.1"}),
        caveats=list(caveats),
        notes=list(notes),
        block=None if repeat is None else Block(cell="cell", repeat=repeat, position=0),
    )


def _quality(
    given: np.ndarray[Any, Any],
    metrics: Mapping[str, float | None] | None,
    *,
    kind: str,
    outputs: str,
) -> Quality:
    truly = truth(len(given))
    values = metrics or {"accuracy": float((given == truly).mean()), "f1": 0.5}
    return Quality(
        metrics=dict(values),
        headline=next(iter(values)),
        majority_rate=0.5 if kind == "single-label" else None,
        decisions=PackedArray.pack(given),
        correct=PackedArray.pack(given == truly) if kind == "single-label" else None,
        outputs_digest=outputs,
    )


def repeats(rates: Sequence[float], recipe: Mapping[str, str] = EAGER, **choices: Any) -> list[
    Measurement
]:  # fmt: skip
    """Return one measurement for each block, at these examples per second."""
    return [
        measurement(recipe, examples_per_s=rate, repeat=repeat, **choices)
        for repeat, rate in enumerate(rates)
    ]


def study() -> list[Measurement]:
    """Return three blocks of four rows: counted, estimated and missing joules, notes, caveats."""
    estimate = {"source": "codecarbon", "energy_class": "estimated", "device": "cpu"}
    rows = []
    for repeat, drift in enumerate((1.0, 0.96, 1.05)):
        rows += [
            measurement(
                EAGER,
                padding="static:128",
                repeat=repeat,
                examples_per_s=100 * drift,
                joules_per_example=0.4 / drift,
            ),
            measurement(
                ORT,
                repeat=repeat,
                examples_per_s=(410, 404, 431)[repeat],
                joules_per_example=0.1 / drift,
                batch_size=4,
            ),
            measurement(
                INT8,
                repeat=repeat,
                examples_per_s=(640, 600, 690)[repeat],
                wrong=[*range(22), 100, 101],
                readings=[reading(40.0, **estimate)],
                caveats=[Caveat.ENERGY_ESTIMATED, Caveat.OTHER_DEVICE],
            ),
            measurement(
                SDPA,
                repeat=repeat,
                examples_per_s=(103, 95, 108)[repeat],
                padding="static:128",
                notes=["Something | to <b>know</b>"],
            ),
        ]
    return rows


def _facts(*, kind: str, data: str, examples: int, padding: str, batch: int) -> WorkloadFacts:
    real = 25 * examples
    policy, _, length = padding.partition(":")
    computed = int(length) * examples if policy == "static" else int(real * 1.0625)
    return WorkloadFacts.model_validate(
        {
            "kind": kind,
            "source": "sst2/dev.tsv",
            "digest": digest_of(data),
            "batches_digest": digest_of((data, padding, batch)),
            "examples": examples,
            "batches": -(-examples // batch),
            "real_tokens": real,
            "computed_tokens": computed,
            "truncated": 0,
            "tokenize_s": 0.0125,
        }
    )


def _timing(facts: WorkloadFacts, *, examples_per_s: float, passes: int) -> Timing:
    """Return batch times that differ as those of batches of unequal length do."""
    weights = np.linspace(0.5, 1.5, facts.batches * passes).reshape(passes, facts.batches)
    total_ns = facts.examples * passes / examples_per_s * 1e9
    latencies_ns = np.round(weights / weights.sum() * total_ns).astype(np.int64)
    latencies_ns[-1, -1] += round(total_ns) - int(latencies_ns.sum())
    return Timing(
        load_s=0.25,
        passes=passes,
        wall_s=facts.examples * passes / examples_per_s,
        latencies_ns=PackedArray.pack(latencies_ns),
        warmup_s=1.25,
        warmup_runs=60,
        steady=True,
    )


def _environment(cpu: str, packages: Mapping[str, str]) -> Environment:
    return Environment(
        cpu=cpu,
        cpu_flags=["avx2", "avx512_vnni"],
        logical_cpus=4,
        usable_cpus=2,
        memory_bytes=16 * 2**30,
        virtual_machine=True,
        governor=None,
        clock_source="tsc",
        system="Linux 6.1.0 x86_64",
        python="3.12.1",
        packages=dict(packages),
    )
