"""The command line: every command parses, calls one function of the package, and prints."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from jouleforge import extras
from jouleforge.errors import InputError, JouleforgeError

# Modules of the package are imported inside the commands: `--help` needs none of them, and is
# answered in a fraction of the time NumPy alone takes to load.

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the inference engine that answers with the fewest joules, and prove it.",
    epilog="Exit codes: 0 done, 2 bad input, 3 this machine lacks something, 4 a check failed, "
    "130 interrupted.",
)

INTERRUPTED = 130


P = ParamSpec("P")
R = TypeVar("R")


def _reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the package's errors into one message and their exit code."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with extras.named():
                return command(*args, **kwargs)
        except JouleforgeError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None

    return wrapper


CheckpointArgument = Annotated[
    str,
    typer.Argument(
        help="Model folder, the name of one under $JOULEFORGE_DATA/checkpoints, or a hub id."
    ),
]
PickleOption = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Read weights from a pickle where there are no safetensors. A pickle can run any "
        "code: only for authors you trust.",
    ),
]
BaselineOption = Annotated[
    str,
    typer.Option(
        help="Row that the others are compared with; the default is eager PyTorch, or the first."
    ),
]


@app.command()
@_reported
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine has, what it lacks, and what to type about it."""
    from jouleforge.doctor import examine

    diagnosis = examine()
    if as_json:
        typer.echo(diagnosis.model_dump_json(indent=2))
        return
    from jouleforge.terminal import print_diagnosis

    print_diagnosis(diagnosis)


@app.command()
@_reported
def convert(
    checkpoint: CheckpointArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new engine.")],
    target: Annotated[str, typer.Option(help="Runtime: ort, ov, pytorch, trt.")],
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, bf16, int8, int8-dynamic, fp8.")
    ] = "fp32",
    task: Annotated[
        str,
        typer.Option(
            help="The checkpoint's task: gives calibration rows, and the metric that must be kept."
        ),
    ] = "",
    rest: Annotated[
        str, typer.Option(help="What INT8 and FP8 engines compute the rest in: fp32, fp16, bf16.")
    ] = "auto",
    flavour: Annotated[str, typer.Option(help="Form of a graph: auto, fused, plain.")] = "auto",
    attention: Annotated[
        str, typer.Option(help="Attention of a PyTorch engine: auto, sdpa, eager.")
    ] = "auto",
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Compile a PyTorch engine with torch.compile.")
    ] = False,
    provider: Annotated[
        str, typer.Option(help="Where ONNX Runtime executes: auto, cpu, cuda.")
    ] = "auto",
    max_length: Annotated[
        int, typer.Option(min=0, help="Longest sequence in tokens; 0 is the checkpoint's limit.")
    ] = 0,
    quantizer: Annotated[
        str, typer.Option(help="Who places the Q/DQ nodes of INT8: auto, own, nncf.")
    ] = "auto",
    calibrator: Annotated[
        str,
        typer.Option(help="minmax, percentile:P, entropy, mse, or auto: the best of them."),
    ] = "auto",
    calibration_rows: Annotated[int, typer.Option(min=1, help="Rows to calibrate on.")] = 256,
    calibration_seed: Annotated[int, typer.Option(help="Seed of the rows' sample.")] = 0,
    smoothquant: Annotated[
        str, typer.Option(help="Migration strength from 0 to 1, auto to search it, or off.")
    ] = "off",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            help="Region that stays in float (repeat; * stands for any text), or auto: as few as "
            "the gate asks for."
        ),
    ] = None,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points the task's metric may lose.")
    ] = 1.0,
    max_changed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the decisions that may change.")
    ] = 0.05,
    selection_rows: Annotated[
        int, typer.Option(min=1, help="Rows of the selection split that the gate looks at.")
    ] = 512,
    tf32: Annotated[bool, typer.Option("--tf32", help="TensorRT: TF32 in FP32 products.")] = False,
    buckets: Annotated[
        list[int] | None,
        typer.Option("--bucket", help="TensorRT: longest sequence of a profile (repeat)."),
    ] = None,
    max_batch: Annotated[
        int, typer.Option(min=1, help="TensorRT: largest batch of the profiles.")
    ] = 64,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="TensorRT: a plan for later minor versions too."),
    ] = False,
    lean: Annotated[
        bool,
        typer.Option("--lean", help="TensorRT: leave the lean runtime out of such a plan."),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Finding of the audit to accept and record (repeat)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an engine that is there.")
    ] = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Convert a fine-tuned checkpoint into an engine, after checking that both answer alike."""
    given = dict(locals())
    from jouleforge.converters import convert as convert_checkpoint
    from jouleforge.progress import logged_steps
    from jouleforge.recipe import Recipe
    from jouleforge.terminal import print_engine

    # Every choice of a recipe is an option of the same name.
    choices = {name: given[name] for name in Recipe.model_fields if given[name] is not None}
    recipe = _checked(Recipe, **choices)
    with logged_steps():
        engine = convert_checkpoint(
            checkpoint, recipe, out, task=task or None, force=force, allow_pickle=allow_pickle
        )
    print_engine(engine)


@app.command()
@_reported
def verify(engine: Annotated[Path, typer.Argument(help="Folder of an engine.")]) -> None:
    """Check an engine's files against their digests, and its answers against the checkpoint's."""
    from jouleforge.converters.verification import verify as verify_engine

    found = verify_engine(engine)
    typer.echo(
        f"{engine}: every file is as it was written; {found.decisions_equal} of {found.rows} "
        f"decisions as the checkpoint's, largest difference of a logit {found.max_abs_error:.2g}"
    )


@app.command()
@_reported
def explain(
    engine: Annotated[Path, typer.Argument(help="Folder of an engine.")],
    checkpoint: Annotated[
        str, typer.Option(help="The checkpoint it was made from, if it is not found by name.")
    ] = "",
    task: Annotated[
        str, typer.Option(help="Compare on this task's texts; else on the parity inputs.")
    ] = "",
) -> None:
    """Say layer by layer how far an engine's values are from its checkpoint's; where they part."""
    from jouleforge.converters.explanation import explain as explain_engine
    from jouleforge.terminal import print_explanation

    print_explanation(explain_engine(engine, checkpoint=checkpoint or None, task=task or None))


@app.command()
@_reported
def adopt(
    folder: Annotated[
        Path, typer.Argument(help="Folder with model.onnx, config.json and the tokenizer.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new engine.")],
    file: Annotated[
        str, typer.Option(help="The graph's file in the folder, where there are several.")
    ] = "",
    checkpoint: Annotated[
        str, typer.Option(help="What the graph was made from; its answers are compared with it.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="What tables call the engine; the default is the folder's name.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replace an engine that is there.")
    ] = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Make an engine of an ONNX folder that somebody else made, to measure it like our own."""
    from jouleforge.converters.adoption import adopt as adopt_folder

    engine = adopt_folder(
        folder, out, file=file, name=name, checkpoint=checkpoint or None, force=force,
        allow_pickle=allow_pickle,
    )  # fmt: skip
    parity = engine.manifest.parity
    checked = (
        f"{parity[-1].decisions_equal} of {parity[-1].rows} decisions as the checkpoint's, largest "
        f"difference of a logit {parity[-1].max_abs_error:.2g}"
        if parity
        else "not compared with its checkpoint (--checkpoint)"
    )
    typer.echo(f"{engine.path}: {engine.name}; {checked}")


@app.command()
@_reported
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
        str, typer.Option(help="Energy source: auto, nvml, rapl, codecarbon, none.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the order of examples and batches.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use a fixed sample of that many examples.")
    ] = None,
) -> None:
    """Measure time, energy and accuracy of an engine on a task's texts, in one run."""
    from jouleforge.files import append_line
    from jouleforge.measurement import Schedule, WorkloadSpec
    from jouleforge.progress import logged_lines
    from jouleforge.protocol import measure as measure_engine

    if not out.parent.is_dir():
        raise InputError(f"the folder of {out} does not exist; create it first")
    workload = _checked(
        WorkloadSpec, task=task, split=split, batch_size=batch, padding=padding,
        order_seed=seed, limit=limit,
    )  # fmt: skip
    schedule = _checked(Schedule, warmup_s=warmup, duration_s=duration, min_passes=passes)
    with logged_lines():
        found = measure_engine(
            engine, workload, threads=threads, schedule=schedule, energy_source=energy
        )
    append_line(out, found.model_dump_json())
    _print_table([found], baseline="")


@app.command()
@_reported
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
        _print_table(result.measurements, baseline="")
        typer.echo(f"rows: {result.path}")
    for failure in result.failures:
        typer.echo(f"failed: {failure.what}: {failure.reason}", err=True)
    if result.failures:
        raise typer.Exit(result.failures[0].exit_code)


@app.command()
@_reported
def compare(
    file: Annotated[Path, typer.Argument(help="JSON lines of `measure` or `study`.")],
    baseline: BaselineOption = "",
) -> None:
    """Print the measurements side by side, with paired ratios and their intervals."""
    from jouleforge.measurement import read_measurements

    _print_table(read_measurements(file), baseline=baseline)


@app.command()
@_reported
def report(
    file: Annotated[Path, typer.Argument(help="JSON lines of `measure` or `study`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the report.")],
    form: Annotated[str, typer.Option("--format", help="html, markdown, csv.")] = "html",
    baseline: BaselineOption = "",
) -> None:
    """Write a report: one self-contained page, a Markdown file, or a CSV table."""
    from jouleforge.comparison import compare as compare_rows
    from jouleforge.measurement import read_measurements
    from jouleforge.reports import write_report

    comparison = compare_rows(read_measurements(file), baseline=baseline or None)
    write_report(comparison, form, out)
    typer.echo(out)


@app.command()
@_reported
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
    _print_table(result.measurements, baseline="")
    for failure in result.failures:
        typer.echo(f"failed: {failure.what}: {failure.reason}", err=True)
    typer.echo(f"report: {plan.report.resolve()}")
    if result.failures:
        raise typer.Exit(result.failures[0].exit_code)


def _checked(model: Any, **values: Any) -> Any:
    """Return the model, or say in one message which option has which mistake."""
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}, found {each['input']!r}"
            for each in error.errors()
        ]
        raise InputError("; ".join(mistakes)) from error


def _print_table(measurements: Any, *, baseline: str) -> None:
    from jouleforge.comparison import compare as compare_rows
    from jouleforge.terminal import print_comparison

    print_comparison(compare_rows(measurements, baseline=baseline or None))


def main() -> None:
    """Run the command line, as the installed `jouleforge` does."""
    # A reader that closes early, such as `head`, is no error of ours.
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
