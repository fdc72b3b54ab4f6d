"""Variants: one module per variant, in a package whose modules share one interface."""

import importlib
import pkgutil
from types import ModuleType

from jouleforge import extras
from jouleforge.errors import InputError


def names(package: str) -> list[str]:
    """Return the variants that a package holds, by module name; its subpackages are none."""
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return sorted(module.name for module in modules if not module.ispkg)


def load(package: str, name: str) -> ModuleType:
    """Import one variant; only its own dependencies are imported.

    Raises:
        InputError: There is no such variant.
        MissingError: It needs a package that is not installed.
    """
    if name not in (known := names(package)):
        kind = package.rpartition(".")[2]
        raise InputError(f"no {name!r} among {kind}; choose from {', '.join(known)}")
    with extras.named():
        return importlib.import_module(f"{package}.{name}")
