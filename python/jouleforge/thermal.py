"""The thermal gate: windows of one block begin at one temperature of the GPU.

A GPU draws more when it is hot. What ran before a window must not decide how hot it is.
"""

import time
from collections.abc import Callable, Iterable

from jouleforge._core import Runner
from jouleforge.measurement import ThermalGate

_LONGEST_WAIT_S = 60.0
_STEP_S = 1.0


def approach(
    reference_c: int,
    read: Callable[[], int | None],
    runner: Runner,
    order: Iterable[int],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ThermalGate:
    """Work or rest until a GPU is within 2 C of a temperature, for a minute at most.

    Below it the batches run, above it nothing does. The temperature is read once a second.

    Args:
        reference_c: Where to come to.
        read: Gives the temperature; `None` if the GPU does not tell, which ends the wait.
        runner: The load that the window will be over.
        order: Batches of one pass.
        clock: Seconds from any moment.
        sleep: Rests for so many seconds.
    """
    batches = list(order)
    begin_s, runs = clock(), 0
    while True:
        now_c, waited_s = read(), clock() - begin_s
        if now_c is None or ThermalGate.is_near(now_c, reference_c) or waited_s >= _LONGEST_WAIT_S:
            break
        if now_c > reference_c:
            sleep(_STEP_S)
            continue
        until_s = clock() + _STEP_S
        while clock() < until_s:
            runner.run(batches[runs % len(batches)])
            runs += 1
    return ThermalGate(reference_c=reference_c, waited_s=waited_s)
