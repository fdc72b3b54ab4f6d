"""Commands about this machine."""

from typing import Annotated

import typer

from jouleforge.cli.app import app, reported


@app.command()
@reported
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    meter: Annotated[
        bool, typer.Option("--meter", help="Examine the GPU's energy counter, for seven minutes.")
    ] = False,
) -> None:
    """Say what this machine has, what it lacks, and what to type about it."""
    if meter:
        _examine_meter(as_json=as_json)
        return
    from jouleforge.doctor import examine

    diagnosis = examine()
    if as_json:
        typer.echo(diagnosis.model_dump_json(indent=2))
        return
    from jouleforge.terminal import print_diagnosis

    print_diagnosis(diagnosis)


def _examine_meter(*, as_json: bool) -> None:
    """Examine the counter of the GPU that engines run on, and keep what was found."""
    from jouleforge import cuda, meter_check
    from jouleforge._core import CounterMeter, NvmlError
    from jouleforge.errors import GateError, MissingError
    from jouleforge.gpu_load import GpuLoad

    load = GpuLoad()
    try:
        counter = CounterMeter(cuda.uuid())
        counter.device.total_energy_mj()
    except NvmlError as error:
        raise MissingError(str(error)) from error
    check = meter_check.examine(counter, load.batches)
    meter_check.save_check(counter.device, check)
    if as_json:
        typer.echo(check.model_dump_json(indent=2))
    else:
        from jouleforge.terminal import print_meter_check

        print_meter_check(check)
    if check.faults:
        raise GateError("; ".join(check.faults))
