"""The errors a user can cause or meet; each class is one exit code of the command line.

Every message says what was expected, what was found, and what to do about it.
"""

from typing import ClassVar


class JouleforgeError(Exception):
    """Base of all errors that are reported as one message rather than as a traceback."""

    exit_code: ClassVar[int] = 1


class InputError(JouleforgeError):
    """What the user gave (a file, a value, a checkpoint) cannot be used."""

    exit_code: ClassVar[int] = 2


class MissingError(JouleforgeError):
    """This machine lacks a package, a device or a permission; the message says what to install."""

    exit_code: ClassVar[int] = 3


class GateError(JouleforgeError):
    """A result was produced and failed its check; it was not written."""

    exit_code: ClassVar[int] = 4
