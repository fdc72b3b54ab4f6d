"""SHA-256 digests of files, folders and values."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_files(files: Iterable[Path], *, root: Path) -> str:
    """Return one digest over files: their paths relative to `root`, and their bytes."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path.relative_to(root).as_posix()}\0{of_file(path)}\n".encode())
    return total.hexdigest()


def of_bytes(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def of_text(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text in UTF-8."""
    return of_bytes(text.encode("utf-8"))
