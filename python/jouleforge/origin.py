"""Origin: where the graph of an engine came from that jouleforge did not convert itself."""

from jouleforge.caveats import Caveat
from jouleforge.stored import Stored


class Origin(Stored):
    """The ONNX folder an engine was adopted from, as it was found."""

    name: str
    """What tables call it, before the target and the precision that were found."""
    file: str
    """The graph's file in that folder."""
    producer: str | None
    """Program and version that the graph names as its writer; `None` if it names none."""
    caveats: tuple[Caveat, ...]
    """What stays with every measurement of it."""
