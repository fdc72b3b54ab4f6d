"""CSV (RFC 4180): one line per row, plain SI numbers, an empty field where there is none."""

import csv
import io
from collections.abc import Callable

from jouleforge.carbon import Carbon
from jouleforge.comparison import (
    Comparison,
    Energy,
    Estimate,
    Interval,
    Ratio,
    Row,
    counted_reasons,
)
from jouleforge.reports.parts import carbon

Value = str | int | float | bool | None


def render(comparison: Comparison) -> str:
    """Return the table as CSV with a header; units are in the names of the columns."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    lines = [_fields(row, comparison) for row in comparison.rows]
    writer.writerow(lines[0])
    for fields in lines:
        writer.writerow(_plain(value) for value in fields.values())
    return stream.getvalue()


def _fields(row: Row, comparison: Comparison) -> dict[str, Value]:
    return {
        **_identity(row, comparison),
        **_times(row),
        **_energy(row),
        **_carbon(row, comparison),
        **_quality(row, comparison),
        "caveats": " ".join(row.caveats),
        "notes": " ".join(row.notes),
    }


def _identity(row: Row, comparison: Comparison) -> dict[str, Value]:
    first = row.first
    return {
        "label": row.label,
        "baseline": row.is_baseline,
        "task": comparison.task,
        "split": comparison.split,
        "data_digest": first.facts.digest,
        "engine": first.engine.name,
        "engine_digest": first.engine.digest,
        "checkpoint": first.engine.checkpoint,
        "checkpoint_digest": first.engine.checkpoint_digest,
        "parameters": first.engine.parameters,
        "runtime": first.engine.runtime,
        "cpu": first.environment.cpu,
        "padding": first.workload.padding,
        "batch_size": first.workload.batch_size,
        "threads": first.threads,
        "repeats": row.repeats,
        "repeats_planned": comparison.planned,
        "repeats_most": comparison.most,
        "half_width": row.half_width,
        "examples": first.facts.examples,
        "real_tokens": first.facts.real_tokens,
        "computed_tokens": first.facts.computed_tokens,
        "padding_fraction": first.facts.padding_fraction,
        "truncated_examples": first.facts.truncated,
    }


def _times(row: Row) -> dict[str, Value]:
    return {
        **_estimate("examples_per_s", row.examples_per_s),
        **_scenario(row),
        "batches_timed": row.latencies.count,
        **_percentiles(row),
        "tokenize_s": row.tokenize_s,
        "load_s": row.load_s,
        "warmup_s": row.warmup_s,
        "steady_repeats": row.steady_repeats,
        "peak_rss_bytes": row.peak_rss_bytes,
        "loaded_rss_bytes": row.memory.loaded_rss,
        "working_rss_bytes": row.memory.working_rss,
        "loaded_gpu_bytes": row.memory.loaded_gpu,
        "working_gpu_bytes": row.memory.working_gpu,
        "memory_reason": "; ".join(row.memory.reasons) or None,
        **_ratio("speed_ratio", row.speed_ratio),
        "verdict": row.verdict,
    }


def _scenario(row: Row) -> dict[str, Value]:
    schedule, arrivals = row.first.schedule, row.first.timing.arrivals
    return {
        "scenario": schedule.scenario,
        "query_size": schedule.query_size,
        "wait": schedule.wait if arrivals else None,
        "arrivals_per_s": arrivals.rate_per_s if arrivals else None,
        "capacity_per_s": arrivals.capacity_per_s if arrivals else None,
        "load": row.latencies.load,
    }


def _percentiles(row: Row) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for name, found in row.latencies.percentiles_s.items():
        fields |= _percentile(f"latency_{name}_s", found)
    return fields


def _energy(row: Row) -> dict[str, Value]:
    energy = row.energy
    meter = energy.meter if energy else None
    return {
        **_estimate("energy_per_example_j", energy.per_example_j if energy else None),
        **_estimate("energy_per_correct_j", row.joules_per_correct),
        **_estimate("energy_per_real_token_j", row.joules_per_real_token),
        **_estimate("energy_per_computed_token_j", row.joules_per_computed_token),
        "energy_class": meter.energy_class if meter else "unavailable",
        "energy_source": meter.source if meter else None,
        "energy_scope": meter.scope if meter else None,
        "energy_devices": " + ".join(meter.devices) if meter else None,
        "energy_calibration": " + ".join(meter.calibrations) if meter else None,
        "energy_reason": row.energy_reason or None,
        "energy_windows": len(energy.by_repeat_j) if energy else None,
        "energy_windows_rejected": counted_reasons(energy.rejected) or None if energy else None,
        **_rest(energy),
        **_ratio("energy_ratio", row.energy_ratio),
        **_ratio("correct_energy_ratio", row.correct_energy_ratio),
        "other_energies_per_example_j": "; ".join(
            f"{other.meter.energy_class} {other.meter.source} {other.meter.scope} "
            f"{_plain(other.per_example_j.value)}"
            for other in row.other_energies
        ),
    }


def _rest(energy: Energy | None) -> dict[str, Value]:
    found = energy.rest if energy else None
    dynamic = found.dynamic_per_example_j if found else None
    not_measured = "idle power was not measured" if energy else None
    return {
        **_estimate("dynamic_energy_per_example_j", dynamic),
        "dynamic_energy_reason": (found.reason or None) if found else not_measured,
        "idle_before_w": found.before_w if found else None,
        "idle_after_w": found.after_w if found else None,
        "paused_energy_share": found.pause_share if found else None,
    }


def _carbon(row: Row, comparison: Comparison) -> dict[str, Value]:
    """Return the grams by the table's meter; those of an estimate have columns of their own."""
    found, estimated = comparison.carbon, False
    if row.energy is not None:
        estimated = row.energy.meter.energy_class == "estimated"
    grams = found.grams(row.energy.per_example_j) if found and row.energy else None
    embodied = found.embodied if found else None
    return {
        **_estimate("carbon_per_example_g", None if estimated else grams),
        **_estimate("estimated_carbon_per_example_g", grams if estimated else None),
        "other_carbon_per_example_g": _other_grams(row.other_energies, found),
        **_estimate(
            "embodied_per_example_g", embodied.grams(row.examples_per_s) if embodied else None
        ),
        "carbon_reason": carbon.reason(comparison) or None,
        **_factor(found),
    }


def _other_grams(energies: tuple[Energy, ...], found: Carbon | None) -> str | None:
    if found is None:
        return None
    return "; ".join(
        f"{other.meter.energy_class} {other.meter.source} {other.meter.scope} "
        f"{_plain(found.grams(other.per_example_j).value)}"
        for other in energies
    )


def _factor(found: Carbon | None) -> dict[str, Value]:
    grid, embodied = (found.grid, found.embodied) if found else (None, None)
    return {
        "grid_region": grid.region if grid else None,
        "grid_year": grid.year if grid else None,
        "grid_g_per_kwh": grid.g_per_kwh if grid else None,
        "grid_kind": grid.kind if grid else None,
        "grid_source": grid.source if grid else None,
        "grid_retrieved": str(grid.retrieved) if grid and grid.retrieved else None,
        "pue": found.pue if found else None,
        "embodied_total_kg": embodied.total_kg if embodied else None,
        "embodied_lifetime_years": embodied.lifetime_years if embodied else None,
        "embodied_source": embodied.source if embodied else None,
    }


def _quality(row: Row, comparison: Comparison) -> dict[str, Value]:
    difference = row.accuracy_difference
    return {
        "metric": comparison.headline,
        "metric_value": row.headline,
        **_interval("metric_value", row.headline_interval),
        "majority_rate": row.first.quality.majority_rate,
        "same_answers": row.decisions_equal,
        "accuracy_difference": difference.value if difference else None,
        **_interval("accuracy_difference", difference.interval if difference else None),
        "mcnemar_p": difference.p_value if difference else None,
        "on_frontier": row.on_frontier,
        "frontier_cost": comparison.frontier_cost,
    }


def _estimate(name: str, found: Estimate | None) -> dict[str, Value]:
    return {
        name: found.value if found else None,
        **_interval(name, found.interval if found else None),
        **_interval(f"{name}_bootstrap", found.bootstrap if found else None),
    }


def _percentile(name: str, found: Estimate | None) -> dict[str, Value]:
    """Return a percentile and what its interval takes for independent: blocks, or all batches."""
    interval = found.interval if found else None
    kind = "within-block" if found and found.within_block else "blocks"
    return {
        name: found.value if found else None,
        **_interval(name, interval),
        f"{name}_interval": kind if interval else None,
    }


def _ratio(name: str, found: Ratio | None) -> dict[str, Value]:
    return {
        name: found.value if found else None,
        **_interval(name, found.interval if found else None),
        **_interval(f"{name}_bootstrap", found.bootstrap if found else None),
        f"{name}_pairs": found.pairs if found else None,
        f"{name}_resolution": found.resolution if found else None,
    }


def _interval(name: str, found: Interval | None) -> dict[str, Value]:
    return {
        f"{name}_low": found.low if found else None,
        f"{name}_high": found.high if found else None,
    }


_PLAIN: dict[type, Callable[[Value], str]] = {
    bool: lambda value: "true" if value else "false",
    float: lambda value: f"{value:.9g}",
}


def _plain(value: Value) -> str:
    if value is None:
        return ""
    return _PLAIN.get(type(value), str)(value)
