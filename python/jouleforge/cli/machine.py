"""Commands about this machine."""

from typing import Annotated

import typer

from jouleforge.cli.app import app, reported


@app.command()
@reported
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
