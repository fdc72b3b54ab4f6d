"""The application, and what its commands share: how errors are reported, options, tables."""

import functools
from collections.abc import Callable
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


def reported(command: Callable[P, R]) -> Callable[P, R]:
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


def checked(model: Any, **values: Any) -> Any:
    """Return the model, or say in one message which option has which mistake."""
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}, found {each['input']!r}"
            if each["loc"]
            else each["msg"].removeprefix("Value error, ")  # of a validator of several options
            for each in error.errors()
        ]
        raise InputError("; ".join(mistakes)) from error


def print_table(measurements: Any, *, baseline: str, carbon: Any = None) -> None:
    """Print measurements side by side."""
    from jouleforge.comparison import compare as compare_rows
    from jouleforge.terminal import print_comparison

    print_comparison(compare_rows(measurements, baseline=baseline or None, carbon=carbon))
