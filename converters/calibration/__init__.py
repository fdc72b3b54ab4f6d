"""Calibration: the ranges that a graph's activations keep to on a task's own texts.

`rows.py` draws the texts, `observe.py` runs the float32 graph over them and gathers statistics in
fixed memory (`statistics.py`), `cache.py` keeps them, `collectors.py` turns them into ranges. One
pass serves every collector.
"""

from jouleforge.converters.calibration.cache import observe_once
from jouleforge.converters.calibration.collectors import COLLECTORS, ranges
from jouleforge.converters.calibration.observe import observe
from jouleforge.converters.calibration.rows import Rows, draw

__all__ = ["COLLECTORS", "Rows", "draw", "observe", "observe_once", "ranges"]
