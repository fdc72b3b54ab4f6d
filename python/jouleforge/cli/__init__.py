"""The command line: every command parses, calls one function of the package, and prints."""

import atexit
import gc
import sys

# The order of the imports is that of the commands in `--help`.
from jouleforge.cli import machine, engines, measuring, reporting  # isort: skip # noqa: F401
from jouleforge.cli.app import INTERRUPTED, app

__all__ = ["INTERRUPTED", "app", "main"]


def main() -> None:
    """Run the command line, as the installed `jouleforge` does."""
    # Python's last act would be to look through all objects for garbage, for more than a second.
    atexit.register(gc.freeze)
    # A reader that closes early, such as `head`, is no error of ours.
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
