"""`python -m jouleforge` is the command line."""

from jouleforge.cli import main

main()
