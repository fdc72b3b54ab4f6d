"""Files that are whole or absent: nothing here leaves a half-written one behind."""

import os
import tempfile
from pathlib import Path

from jouleforge.errors import InputError


def cache_folder(kind: str) -> Path:
    """Return where what took long to find is kept: `$JOULEFORGE_CACHE`, else the user's cache."""
    if own := os.environ.get("JOULEFORGE_CACHE"):
        return Path(own) / kind
    root = os.environ.get("XDG_CACHE_HOME")
    return Path(root or Path.home() / ".cache") / "jouleforge" / kind


def write_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a crash, never meets a part of it.

    Raises:
        InputError: The folder does not exist or may not be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add one line to a text file; the file is replaced whole, so no line is ever cut off.

    Raises:
        InputError: The file cannot be read or written.
    """
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot add to {path}: {error}") from error
    if before and not before.endswith("\n"):
        before += "\n"
    write_atomic(path, f"{before}{line}\n")
