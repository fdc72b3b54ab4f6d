"""The garbage collector, kept from looking where there is nothing to free.

With PyTorch loaded there are half a million objects, and each full collection takes a third of a
second; while modules are imported or a graph is traced, objects are made that all stay, and while
a window is timed nothing else may run.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect nothing in the body."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def of_new_objects() -> Iterator[None]:
    """In the body, collect only what was made there: not what was alive before."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
