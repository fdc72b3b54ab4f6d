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
    batch: Annotated[int, typer.Option(min=1, help="Examples in a batch.")] = 32,
    padding: Annotated[
        str, typer.Option(help="static:N, longest, sorted, exact, or bucket:N,M,… (tokens).")
    ] = "sorted",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    duration: Annotated[
        float, typer.Option(help="Seconds to time at least; only whole passes are timed.")
    ] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds to warm up at least.")] = 1.0,
    passes: Annotated[int, typer.Option(min=1, help="Passes over the data at least.")] = 1,
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
    from jouleforge.measurement import Schedule, WorkloadSpec
    from jouleforge.meter_calibration import Calibration
    from jouleforge.progress import logged_lines
    from jouleforge.protocol import measure as measure_engine

    if not out.parent.is_dir():
        raise InputError(f"the folder of {out} does not exist; create it first")
    workload = checked(
        WorkloadSpec, task=task, split=split, batch_size=batch, padding=padding,
        order_seed=seed, limit=limit,
    )  # fmt: skip
    schedule = checked(Schedule, warmup_s=warmup, duration_s=duration, min_passes=passes)
    corrections = Calibration.load(calibration) if calibration else None
    with logged_lines():
        found = measure_engine(
            engine, workload, threads=threads, schedule=schedule, energy_source=energy,
            calibration=corrections,
        )  # fmt: skip
    append_line(out, found.model_dump_json())
    print_table([found], baseline="")


@app.command()
@reported
def study(
    file: Annotated[Path, typer.Argument(help="Study file (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")],
    allow_pickle: PickleOption = False,
) -> None:
    """Convert and measure all cells of a study, interleaved; started again, it goes on."""
    from jouleforge.progress import StudyReporter
    from jouleforge.studies import run_study

    with StudyReporter() as report_progress:
        result = run_study(file, out, on_progress=report_progress, allow_pickle=allow_pickle)
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
