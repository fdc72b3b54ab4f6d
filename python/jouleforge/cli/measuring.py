"""Commands that measure."""

from pathlib import Path
from typing import Annotated

import typer

from jouleforge.cli.app import PickleOption, app, checked, print_table, reported
from jouleforge.errors import InputError


@app.command()
@reported
def measure(
    engine: Annotated[Path, typer.Argument(help="Folder of an engine.")],
    task: Annotated[str, typer.Option(help="Shipped task, or a task file (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON-lines file to add the row to.")],
    split: Annotated[str, typer.Option(help="calibration, selection, test.")] = "test",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Examples in a batch of offline; the default is 32.")
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(
            help="static:N, longest, sorted, exact, bucket:N,M,… (tokens), or bucket:auto:K; the "
            "default is sorted, and longest for multi-stream."
        ),
    ] = None,
    scenario: Annotated[
        str, typer.Option(help="offline, single-stream, multi-stream, server.")
    ] = "offline",
    samples_per_query: Annotated[
        int | None, typer.Option(min=1, help="multi-stream: examples of a query; the default is 8.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="server: queries that arrive per second.")
    ] = None,
    load: Annotated[
        float | None,
        typer.Option(help="server: the same as a share of what is answered one after the other."),
    ] = None,
    wait: Annotated[
        str, typer.Option(help="server: spin or block (sleep) until the next query arrives.")
    ] = "block",
    arrival_seed: Annotated[
        int | None,
        typer.Option(min=0, help="server: seed of the arrivals; the default draws one a run."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    duration: Annotated[
        float, typer.Option(help="Seconds to time at least; only whole passes are timed.")
    ] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds to warm up at least.")] = 1.0,
    longest_warmup: Annotated[
        float, typer.Option(help="Seconds to warm up at most, until batch times show no trend.")
    ] = 20.0,
    passes: Annotated[int, typer.Option(min=1, help="Passes over the data at least.")] = 1,
    idle: Annotated[
        float, typer.Option(help="Seconds of idle power before and after, where there is a meter.")
    ] = 10.0,
    energy: Annotated[
        str, typer.Option(help="Energy source: auto, nvml, nvml_power, rapl, codecarbon, none.")
    ] = "auto",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Calibration file (.toml): what a meter at the wall says of the GPU."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the order of examples and batches.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use a fixed sample of that many examples.")
    ] = None,
) -> None:
    """Measure time, energy and accuracy of an engine on a task's texts, in one run."""
    from jouleforge.files import append_line
    from jouleforge.measurement import WorkloadSpec
    from jouleforge.meter_calibration import Calibration
    from jouleforge.progress import logged_lines
    from jouleforge.protocol import measure as measure_engine
    from jouleforge.schedule import Schedule

    if not out.parent.is_dir():
        raise InputError(f"the folder of {out} does not exist; create it first")
    asked = {"batch_size": batch, "padding": padding}
    workload = checked(
        WorkloadSpec, task=task, split=split, order_seed=seed, limit=limit,
        **{name: value for name, value in asked.items() if value is not None},
    )  # fmt: skip
    schedule = checked(
        Schedule, warmup_s=warmup, duration_s=duration, min_passes=passes, scenario=scenario,
        samples_per_query=samples_per_query, rate_per_s=rate, load=load, wait=wait,
        idle_s=idle, longest_warmup_s=longest_warmup,
    )  # fmt: skip
    corrections = Calibration.load(calibration) if calibration else None
    with logged_lines():
        found = measure_engine(
            engine, workload, threads=threads, schedule=schedule, energy_source=energy,
            arrival_seed=arrival_seed, calibration=corrections,
        )  # fmt: skip
    append_line(out, found.model_dump_json())
    print_table([found], baseline="")


@app.command()
@reported
def study(
    file: Annotated[Path, typer.Argument(help="Study file (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Five blocks and short windows; every output says so.")
    ] = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Convert and measure all cells of a study, interleaved; started again, it goes on."""
    from jouleforge.progress import StudyReporter
    from jouleforge.studies import run_study

    with StudyReporter() as report_progress:
        result = run_study(
            file, out, quick=quick, on_progress=report_progress, allow_pickle=allow_pickle
        )
    if result.measurements:
        print_table(result.measurements, baseline="")
        typer.echo(f"rows: {result.path}")
    for failure in result.failures:
        typer.echo(f"failed: {failure.what}: {failure.reason}", err=True)
    if result.failures:
        raise typer.Exit(result.failures[0].exit_code)


@app.command()
@reported
def quickstart(
    checkpoint: Annotated[
        str, typer.Option(help="Your own checkpoint; the default trains a small one.")
    ] = "",
    task: Annotated[str, typer.Option(help="The checkpoint's task (with --checkpoint).")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "quickstart-out"
    ),
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of the runtimes; 0 is all usable processors.")
    ] = 0,
    allow_pickle: PickleOption = False,
) -> None:
    """Run the whole line once: checkpoint, engines, measurements, report. Needs no network."""
    from jouleforge.progress import StudyReporter, logged_steps
    from jouleforge.quickstart import prepare, run

    with logged_steps():
        plan = prepare(out, checkpoint=checkpoint, task=task, threads=threads)
    with StudyReporter() as report_progress:
        result = run(plan, on_progress=report_progress, allow_pickle=allow_pickle)
    print_table(result.measurements, baseline="")
    for failure in result.failures:
        typer.echo(f"failed: {failure.what}: {failure.reason}", err=True)
    typer.echo(f"report: {plan.report.resolve()}")
    if result.failures:
        raise typer.Exit(result.failures[0].exit_code)
