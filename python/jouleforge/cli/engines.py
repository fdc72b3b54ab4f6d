"""Commands that make engines and check them."""

from pathlib import Path
from typing import Annotated

import typer

from jouleforge import garbage
from jouleforge.cli.app import CheckpointArgument, PickleOption, app, checked, reported


@app.command()
@reported
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
    with garbage.paused():
        from jouleforge.console import print_engine
        from jouleforge.converters import convert as convert_checkpoint
        from jouleforge.progress import logged_steps
        from jouleforge.recipe import Recipe

    # Every choice of a recipe is an option of the same name.
    choices = {name: given[name] for name in Recipe.model_fields if given[name] is not None}
    recipe = checked(Recipe, **choices)
    with logged_steps():
        engine = convert_checkpoint(
            checkpoint, recipe, out, task=task or None, force=force, allow_pickle=allow_pickle
        )
    print_engine(engine)


@app.command()
@reported
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
@reported
def verify(engine: Annotated[Path, typer.Argument(help="Folder of an engine.")]) -> None:
    """Check an engine's files against their digests, and its answers against the checkpoint's."""
    from jouleforge.converters.verification import verify as verify_engine

    found = verify_engine(engine)
    typer.echo(
        f"{engine}: every file is as it was written; {found.decisions_equal} of {found.rows} "
        f"decisions as the checkpoint's, largest difference of a logit {found.max_abs_error:.2g}"
    )


@app.command()
@reported
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
    from jouleforge.console import print_explanation
    from jouleforge.converters.explanation import explain as explain_engine

    print_explanation(explain_engine(engine, checkpoint=checkpoint or None, task=task or None))
