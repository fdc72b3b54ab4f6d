"""Where shared data lies on this machine, and how a TOML file becomes a checked model."""

import os
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from jouleforge.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def data_root() -> Path | None:
    """Return the folder that holds data/NAME and checkpoints/NAME, or None where there is none.

    It is the one place that reads the environment variable JOULEFORGE_DATA.

    Raises:
        InputError: The variable names something that is not a folder.
    """
    if not (value := os.environ.get("JOULEFORGE_DATA", "")):
        return None
    if not (root := Path(value)).is_dir():
        raise InputError(
            f"JOULEFORGE_DATA should name a folder that holds data/ and checkpoints/; "
            f"{value!r} is not a folder: correct the variable or unset it"
        )
    return root


def read_toml(path: Traversable, model: type[Model]) -> Model:
    """Return the model that a TOML file describes.

    Raises:
        InputError: The file cannot be read, is not TOML, or does not fit the model; the message
            names the file and, for every mistake at once, the key and what is allowed there.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a TOMLDecodeError or a UnicodeDecodeError
        raise InputError(f"{path} is not a TOML file: {error}") from error
    try:
        return model.model_validate(values)
    except ValidationError as error:
        mistakes = "; ".join(_mistake(model, details) for details in error.errors())
        raise InputError(f"{path}: {mistakes}") from error


def _mistake(model: type[BaseModel], details: ErrorDetails) -> str:
    """Return one mistake as the key, what was expected there and what was found."""
    loc = details["loc"]
    # Parts in brackets are no keys: `[key]` of a mapping's own key, the tag of a union's option.
    key = ".".join(str(part) for part in loc if not str(part).startswith("["))
    if details["type"] == "extra_forbidden":
        return f"unknown key {key!r}; allowed there: {', '.join(_keys_at(model, loc))}"
    if details["type"] == "missing":
        return f"key {key!r} is missing"
    expected = details["msg"].removeprefix("Value error, ")
    found = details["input"]
    if isinstance(found, dict | list | tuple):  # the message of a validator says what matters
        return f"{key}: {expected}" if key else expected
    return f"{key}: {expected}, found {found!r}"


def _keys_at(annotation: object, loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model that holds a location, looked up below a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if len(loc) == 1:
            return sorted(annotation.model_fields)
        field = annotation.model_fields.get(str(loc[0]))
        return _keys_at(field.annotation, loc[1:]) if field else []
    if get_origin(annotation) is Annotated:
        tags = [mark.tag for mark in get_args(annotation)[1:] if isinstance(mark, Tag)]
        if tags:
            return _keys_at(get_args(annotation)[0], loc[1:]) if loc[0] in tags else []
    # A key or an index steps into a container, but not into a union.
    below = loc[1:] if get_origin(annotation) in (dict, list, tuple) else loc
    return [key for option in get_args(annotation) for key in _keys_at(option, below)]
