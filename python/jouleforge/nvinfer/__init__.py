"""TensorRT, as converters and runners share it: the library, its log, and what differs in versions.

Nothing of TensorRT is imported before `load`, and nothing of it is created here. TensorRT-RTX has
the same interface and builds plans without a GPU, which makes it good for tests; its plans are not
TensorRT's, and no engine is ever made of them.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from jouleforge.errors import MissingError
from jouleforge.nvinfer.api import Api, BuilderFlag

LibraryName = Literal["tensorrt", "tensorrt-rtx"]

# In the order they are tried. The first name of each is the meta package's, the second the wheel's.
FULL = ("tensorrt", "tensorrt_bindings")
RTX = ("tensorrt_rtx", "tensorrt_rtx_bindings")

INSTALL = "pip install 'jouleforge[tensorrt]'"


@dataclass(frozen=True, slots=True)
class Library:
    """TensorRT or TensorRT-RTX, imported."""

    api: Api
    name: LibraryName

    @property
    def version(self) -> str:
        """Return the library's version, such as 11.4.0.106."""
        return self.api.__version__

    @property
    def has_timing_cache(self) -> bool:
        """Whether a timing cache has any use: TensorRT-RTX ignores it, but wants a GPU for it."""
        return self.name == "tensorrt"

    @property
    def creation_flags(self) -> int:
        """Return the flags of a strongly typed network.

        TensorRT 10 types weakly unless it is told; 11 and TensorRT-RTX know no other way, and
        deprecate the flag.
        """
        if self.name == "tensorrt-rtx" or int(self.version.split(".")[0]) > 10:
            return 0
        flags: Any = getattr(self.api, "NetworkDefinitionCreationFlag")  # noqa: B009 - 10 only
        return 1 << int(flags.STRONGLY_TYPED)

    @property
    def flags(self) -> BuilderFlag:
        """Return the names of the build's flags."""
        return self.api.BuilderFlag


def load(modules: Sequence[str] = FULL + RTX) -> Library:
    """Return the first of these libraries that can be imported.

    Raises:
        MissingError: None can; the message holds each one's reason.
    """
    reasons = []
    for module in modules:
        try:
            api = cast(Api, importlib.import_module(module))
        # The packages raise whatever their loader met: OSError, RuntimeError and others.
        except Exception as error:
            reasons.append(f"{module}: {error}")
            continue
        return Library(api=api, name="tensorrt-rtx" if module in RTX else "tensorrt")
    raise MissingError(
        f"unavailable: TensorRT cannot be imported ({'; '.join(reasons)}): {INSTALL}"
    )


def load_full() -> Library:
    """Return TensorRT proper, whose plans engines are made of.

    Raises:
        MissingError: It is not installed.
    """
    return load(FULL)


@dataclass(frozen=True, slots=True)
class Message:
    """One line of TensorRT's log."""

    severity: int
    """0 internal error, 1 error, 2 warning, 3 information, 4 verbose."""
    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """Everything TensorRT said, in order. Nothing is printed."""

    messages: list[Message] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Return the texts of all errors."""
        return [message.text for message in self.messages if message.severity <= 1]

    @property
    def warnings(self) -> list[str]:
        """Return the texts of all warnings."""
        return [message.text for message in self.messages if message.severity == 2]

    def logger(self, library: Library) -> Any:
        """Return a logger of the library's own kind that fills this log."""

        class Logger(library.api.ILogger):  # type: ignore[misc, name-defined]
            def __init__(logger) -> None:
                library.api.ILogger.__init__(logger)

            def log(logger, severity: Any, text: str) -> None:
                self.messages.append(Message(int(severity), text))

        return Logger()
