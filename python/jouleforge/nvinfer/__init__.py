"""TensorRT, as converters and runners share it: the library, its log, and what differs in versions.

Nothing of TensorRT is imported before `load`, and nothing of it is created here. TensorRT-RTX has
the same interface and builds plans without a GPU, which makes it good for tests; its plans are not
TensorRT's, and no engine is ever made of them.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast
from weakref import WeakSet

from jouleforge.errors import MissingError
from jouleforge.nvinfer.api import Api, BuilderFlag

LibraryName = Literal["tensorrt", "tensorrt-rtx"]

# In the order they are tried. The first name of each is the meta package's, the second the wheel's.
FULL = ("tensorrt", "tensorrt_bindings")
RTX = ("tensorrt_rtx", "tensorrt_rtx_bindings")

INSTALL = "pip install 'jouleforge[tensorrt]'"


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """TensorRT or TensorRT-RTX, imported."""

    api: Api
    name: LibraryName
    listeners: "WeakSet[Log]" = field(default_factory=WeakSet)
    logger: Any = field(init=False)
    """The one logger of this library, which fills the logs that listen."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "logger", _make_logger(self.api, self.listeners))

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
            return _imported(module)
        # The packages raise whatever their loader met: OSError, RuntimeError and others.
        except Exception as error:
            reasons.append(f"{module}: {error}")
    raise MissingError(
        f"unavailable: TensorRT cannot be imported ({'; '.join(reasons)}): {INSTALL}"
    )


@cache
def _imported(module: str) -> Library:
    api = cast(Api, importlib.import_module(module))
    return Library(api=api, name="tensorrt-rtx" if module in RTX else "tensorrt")


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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Log:
    """What TensorRT says from now on, in order. Nothing is printed.

    TensorRT knows one logger at a time: while any of its objects lives, another object's logger is
    ignored. So a library has one logger, which all logs that are alive listen to.
    """

    most: int = 4
    """Severity up to which messages are kept."""
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
        """Return the library's logger, which fills this log too from now on."""
        library.listeners.add(self)
        return library.logger


def _make_logger(api: Api, listeners: "WeakSet[Log]") -> Any:
    class Logger(api.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            message = Message(int(severity), text)
            for listener in list(listeners):
                if message.severity <= listener.most:
                    listener.messages.append(message)

    return Logger()
