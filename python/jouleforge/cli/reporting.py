"""Commands that read measurements."""

from pathlib import Path
from typing import Annotated

import typer

from jouleforge.cli.app import BaselineOption, app, print_table, reported


@app.command()
@reported
def compare(
    file: Annotated[Path, typer.Argument(help="JSON lines of `measure` or `study`.")],
    baseline: BaselineOption = "",
) -> None:
    """Print the measurements side by side, with paired ratios and their intervals."""
    from jouleforge.measurement import read_measurements

    print_table(read_measurements(file), baseline=baseline)


@app.command()
@reported
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
