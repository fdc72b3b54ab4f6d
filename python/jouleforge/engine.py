"""Engine: a folder with everything needed to answer, and the manifest that describes it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationError, field_validator

from jouleforge import digest
from jouleforge.checkpoint import Checkpoint, TaskKind
from jouleforge.environment import Environment
from jouleforge.errors import InputError
from jouleforge.origin import Origin
from jouleforge.proof import Audit, CalibrationRecord, Gate, ParityStage
from jouleforge.recipe import Recipe
from jouleforge.stored import Stored

MANIFEST = "engine.json"
GRAPH = "model.onnx"
OPENVINO_GRAPH = "model.xml"
TOKENIZER = "tokenizer/tokenizer.json"
PARITY = "parity.npz"
"""The inputs an engine was checked with, and the logits it had to give."""
SCHEMA_VERSION: Literal[2] = 2


class TensorSpec(Stored):
    """Name, NumPy type and shape of an input or output; a string is a dynamic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class CheckpointRef(Stored):
    """The checkpoint an engine was made from."""

    name: str
    digest: str
    family: str
    head: str
    kind: TaskKind | None
    labels: tuple[str, ...]
    parameters: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, parameters: int) -> "CheckpointRef":
        """Return the reference to a checkpoint with that many parameters."""
        return cls(
            name=checkpoint.name,
            digest=checkpoint.digest,
            family=checkpoint.family,
            head=checkpoint.head,
            kind=checkpoint.kind,
            labels=checkpoint.labels,
            parameters=parameters,
        )


class Manifest(Stored):
    """Content of `engine.json`."""

    schema_version: Literal[2] = SCHEMA_VERSION
    created_at: str
    origin: Origin | None = None
    """Who made the graph; `None` if it was converted here. The recipe then says what was found."""
    recipe: Recipe
    checkpoint: CheckpointRef
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    max_length: int
    pad_id: int
    parity: tuple[ParityStage, ...]
    gate: Gate | None
    """The check on the task's selection split; `None` if no task was given."""
    calibration: CalibrationRecord | None
    audit: Audit
    built_on: Environment
    files: dict[str, str]
    """SHA-256 of every other file of the folder, by its relative path."""

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name or name == MANIFEST:
                raise ValueError(f"the file {name!r} would leave the engine's folder")
        return files


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine on disk whose files were checked against its manifest."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Return one digest over the recipe and all files, not over the date or the machine."""
        content = {"recipe": self.manifest.recipe.model_dump(), "files": self.manifest.files}
        return digest.of_text(json.dumps(content, sort_keys=True))

    @property
    def name(self) -> str:
        """Return the name used in tables."""
        name, origin = self.manifest.recipe.name, self.manifest.origin
        return name if origin is None else f"{origin.name} {name}"

    @classmethod
    def open(cls, path: str | Path) -> "Engine":
        """Return the engine in a folder, after checking every file against its digest.

        Raises:
            InputError: There is no engine, its manifest cannot be read, or a file is missing,
                was changed, or is a link that leaves the folder.
        """
        folder = Path(path)
        manifest = _read_manifest(folder)
        for name, expected in manifest.files.items():
            file = folder / name
            if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{folder}: {name} is missing or is not inside; convert it again")
            if (found := digest.of_file(file)) != expected:
                raise InputError(
                    f"{folder}: {name} was changed after the conversion (SHA-256 {found[:12]}…, "
                    f"expected {expected[:12]}…); convert the checkpoint again"
                )
        return cls(path=folder, manifest=manifest)


def _read_manifest(folder: Path) -> Manifest:
    file = folder / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"no engine at {folder}: expected a folder with {MANIFEST}, as `jouleforge convert` "
            f"writes it ({error.strerror})"
        ) from error
    try:
        version = json.loads(text).get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{file} has schema_version {version!r}, this jouleforge reads {SCHEMA_VERSION}; "
                "convert the checkpoint again"
            )
        return Manifest.model_validate_json(text)
    except (ValueError, AttributeError, ValidationError) as error:
        raise InputError(f"{file} is no engine manifest: {error}") from error


@contextmanager
def writing(out: Path, *, force: bool) -> Iterator[Path]:
    """Give a temporary folder that becomes `out` only if the body ends without an error.

    The folder lies beside `out`, so that the final rename is atomic: an interrupted conversion
    leaves nothing under the name of `out`.

    Raises:
        InputError: `out` exists and `force` is false, or it is not an engine to be replaced.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - keeps links, resolve() would follow them
    _may_replace(out, force=force)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        fresh = Path(scratch) / "engine"
        fresh.mkdir()
        yield fresh
        if out.exists():
            out.rename(Path(scratch) / "replaced")
        fresh.rename(out)


def _may_replace(out: Path, *, force: bool) -> None:
    if not out.exists():
        return
    if not force:
        raise InputError(f"{out} exists; choose another folder or pass --force to replace it")
    if not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).is_file()):
        raise InputError(f"{out} is not an engine; --force only replaces engines, so remove it")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes a folder an engine; it is the last file written."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def file_digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file in the folder, by relative path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    return {file.relative_to(folder).as_posix(): digest.of_file(file) for file in files}
