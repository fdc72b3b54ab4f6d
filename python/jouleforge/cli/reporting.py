"""Commands that read measurements."""

from pathlib import Path
from typing import Annotated

import typer

from jouleforge.cli.app import BaselineOption, app, print_table, reported
from jouleforge.cli.carbon import (
    EmbodiedOption,
    EmbodiedSourceOption,
    GridIntensityOption,
    GridKindOption,
    GridOption,
    GridSourceOption,
    PueOption,
)


@app.command()
@reported
def compare(
    file: Annotated[Path, typer.Argument(help="JSON lines of `measure` or `study`.")],
    baseline: BaselineOption = "",
    grid: GridOption = "",
    grid_intensity: GridIntensityOption = None,
    grid_source: GridSourceOption = "",
    grid_kind: GridKindOption = "",
    pue: PueOption = None,
    embodied: EmbodiedOption = "",
    embodied_source: EmbodiedSourceOption = "",
) -> None:
    """Print the measurements side by side, with paired ratios and their intervals."""
    from jouleforge.carbon import choose_carbon
    from jouleforge.measurement import read_measurements

    carbon = choose_carbon(
        region=grid, g_per_kwh=grid_intensity, source=grid_source, kind=grid_kind, pue=pue,
        embodied=embodied, embodied_source=embodied_source,
    )  # fmt: skip
    print_table(read_measurements(file), baseline=baseline, carbon=carbon)


@app.command()
@reported
def report(
    file: Annotated[Path, typer.Argument(help="JSON lines of `measure` or `study`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the report.")],
    form: Annotated[str, typer.Option("--format", help="html, markdown, csv.")] = "html",
    baseline: BaselineOption = "",
    grid: GridOption = "",
    grid_intensity: GridIntensityOption = None,
    grid_source: GridSourceOption = "",
    grid_kind: GridKindOption = "",
    pue: PueOption = None,
    embodied: EmbodiedOption = "",
    embodied_source: EmbodiedSourceOption = "",
) -> None:
    """Write a report: one self-contained page, a Markdown file, or a CSV table."""
    from jouleforge.carbon import choose_carbon
    from jouleforge.comparison import compare as compare_rows
    from jouleforge.measurement import read_measurements
    from jouleforge.reports import write_report

    carbon = choose_carbon(
        region=grid, g_per_kwh=grid_intensity, source=grid_source, kind=grid_kind, pue=pue,
        embodied=embodied, embodied_source=embodied_source,
    )  # fmt: skip
    measurements = read_measurements(file)
    comparison = compare_rows(measurements, baseline=baseline or None, carbon=carbon)
    write_report(comparison, form, out)
    typer.echo(out)
