"""Charts: where the points, ticks and labels of a scatter plot go, in pixels.

Labels are placed so that none covers another or a point; a label that fits nowhere is left out, for
every point carries its number in the table as well.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_CHARACTER_PX = 6.9
"""Width of an average character at the label's size, on the generous side."""
_LINE_PX = 15.0
_DOT_PX = 6.0
_NEAR = 24
"""Places next to a point that are tried before a label may cross the frontier's line."""
_FULL_RANGE = 3.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""
_NARROWEST_GAIN = 0.01
"""Metrics that differ by less fill no axis: noise would look like a ranking."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One row to draw."""

    cost: float
    gain: float
    label: str
    """What stands beside the point."""
    title: str
    """What is shown while the pointer is on it."""
    on_frontier: bool
    is_baseline: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        """Return whether two rectangles share any area."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )

    def lies_in(self, other: "Box") -> bool:
        """Return whether this one is inside another."""
        return (
            self.left >= other.left
            and self.top >= other.top
            and self.left + self.width <= other.left + other.width
            and self.top + self.height <= other.top + other.height
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """A row where it is drawn, with its label."""

    x: float
    y: float
    mark: Mark
    label: Box | None
    """Where the label stands; `None` where it fitted nowhere."""

    @property
    def leader(self) -> tuple[float, float] | None:
        """Return where a line from the point meets its label, if the label is far off."""
        if self.label is None:
            return None
        x = min(max(self.x, self.label.left), self.label.left + self.label.width)
        y = min(max(self.y, self.label.top), self.label.top + self.label.height)
        return (x, y) if math.hypot(x - self.x, y - self.y) > 2.5 * _DOT_PX else None


@dataclass(frozen=True, slots=True)
class Scatter:
    """A scatter plot, ready to be drawn."""

    width: float
    height: float
    frame: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    is_logarithmic: bool
    points: tuple[Point, ...]
    frontier: str
    """Corners of the frontier's steps in SVG's notation."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool

    def at(self, value: float) -> float:
        """Return where a value stands."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def scatter(marks: Sequence[Mark], *, width: float, height: float) -> Scatter:
    """Return a plot of gain (up is better) over cost (left is better).

    Args:
        marks: What to draw; at least one.
        width: Of the whole plot, in px.
        height: Of the whole plot, in px.
    """
    frame = Box(left=58, top=14, width=width - 58 - 16, height=height - 14 - 46)
    across = _cost_axis([mark.cost for mark in marks], frame)
    up = _gain_axis([mark.gain for mark in marks], frame)
    dots = [(across.at(mark.cost), up.at(mark.gain)) for mark in marks]
    labels = _place(marks, dots, frame)
    return Scatter(
        width=width,
        height=height,
        frame=frame,
        x_ticks=_ticks(across),
        y_ticks=_ticks(up),
        is_logarithmic=across.is_logarithmic,
        points=tuple(
            Point(x, y, mark, label)
            for (x, y), mark, label in zip(dots, marks, labels, strict=True)
        ),
        frontier=" ".join(f"{x:.1f},{y:.1f}" for x, y in _corners(marks, dots, frame)),
    )


def _cost_axis(costs: Sequence[float], frame: Box) -> Axis:
    low, high = min(costs), max(costs)
    start, end = frame.left, frame.left + frame.width
    if high / low > _FULL_RANGE:
        room = (high / low) ** 0.08
        return Axis(low / room, high * room, start, end, is_logarithmic=True)
    return Axis(0.0, high * 1.12, start, end, is_logarithmic=False)


def _gain_axis(gains: Sequence[float], frame: Box) -> Axis:
    low, high = min(gains), max(gains)
    spread = max(high - low, _NARROWEST_GAIN)
    middle = (low + high) / 2
    return Axis(
        middle - 0.68 * spread, middle + 0.62 * spread,
        frame.top + frame.height, frame.top, is_logarithmic=False,
    )  # fmt: skip


def _ticks(axis: Axis) -> tuple[Tick, ...]:
    values = list(_round_values(axis, parts=5))
    if axis.is_logarithmic:
        found = [value for value in _decades(axis) if axis.low <= value <= axis.high]
        values = found if len(found) >= 3 else values
        step = 0.0
    else:
        step = values[1] - values[0] if len(values) > 1 else 0.0
    return tuple(Tick(axis.at(value), _tick_text(value, step)) for value in values)


def _decades(axis: Axis) -> Iterator[float]:
    for exponent in range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1):
        for digit in (1, 2, 5):
            yield digit * 10.0**exponent


def _round_values(axis: Axis, *, parts: int) -> Iterator[float]:
    rough = (axis.high - axis.low) / parts
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    for number in range(math.ceil(axis.low / step), math.floor(axis.high / step) + 1):
        if number * step > 0 or not axis.is_logarithmic:
            yield number * step


def _tick_text(value: float, step: float) -> str:
    """Return a tick's number with the decimals that its distance to the next one needs."""
    if step == 0.0:
        return f"{value:,.6f}".rstrip("0").rstrip(".") if value < 1000 else f"{value:,.0f}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if not math.isclose(round(step, decimals), step, rel_tol=1e-9):
        decimals += 1
    return f"{value:,.{decimals}f}"


def _place(
    marks: Sequence[Mark], dots: Sequence[tuple[float, float]], frame: Box
) -> list[Box | None]:
    """Return a place for each label; the frontier and the baseline choose first."""
    taken = [Box(x - _DOT_PX, y - _DOT_PX, 2 * _DOT_PX, 2 * _DOT_PX) for x, y in dots]
    room = Box(frame.left, 0, frame.width + 12, frame.top + frame.height)
    corners = _corners(marks, dots, frame)
    lines = [_around(*pair) for pair in pairwise(corners)]
    placed: list[Box | None] = [None] * len(marks)
    order = sorted(
        range(len(marks)),
        key=lambda index: (not marks[index].on_frontier, not marks[index].is_baseline, index),
    )
    for index in order:
        width = _CHARACTER_PX * len(marks[index].label)
        free = [
            box
            for box in _candidates(*dots[index], width)
            if box.lies_in(room) and not any(box.overlaps(other) for other in taken)
        ]
        # Across the frontier's line only where there is no other place near.
        clear = [box for box in free[:_NEAR] if not any(box.overlaps(line) for line in lines)]
        placed[index] = next(iter(clear + free), None)
        taken += [box for box in (placed[index],) if box]
    return placed


def _around(start: tuple[float, float], end: tuple[float, float]) -> Box:
    """Return the rectangle about a horizontal or vertical line."""
    left, top = min(start[0], end[0]) - 1, min(start[1], end[1]) - 1
    return Box(left, top, abs(end[0] - start[0]) + 2, abs(end[1] - start[1]) + 2)


def _candidates(x: float, y: float, width: float) -> Iterator[Box]:
    """Give places for a label around a point, the nearest first."""
    for distance in range(0, 150, 8):
        gap = _DOT_PX + 3 + distance
        middle, above, below = y - _LINE_PX / 2, y - gap - _LINE_PX, y + gap
        right, left = x + gap, x - gap - width
        for place in (
            (right, middle), (left, middle),
            (x - width / 2, above), (x - width / 2, below),
            (x + 4, above), (x + 4, below), (x - width - 4, above), (x - width - 4, below),
            (right, above), (right, below), (left, above), (left, below),
        ):  # fmt: skip
            yield Box(place[0], place[1], width, _LINE_PX)


def _corners(
    marks: Sequence[Mark], dots: Sequence[tuple[float, float]], frame: Box
) -> list[tuple[float, float]]:
    """Return the frontier's corners: at each cost, the best gain to be had for no more."""
    best = sorted(dot for dot, mark in zip(dots, marks, strict=True) if mark.on_frontier)
    if not best:
        return []
    heights = [frame.top + frame.height, *(y for _, y in best)]
    corners = [
        corner
        for (x, y), before in zip(best, heights, strict=False)
        for corner in ((x, before), (x, y))
    ]
    return [*corners, (frame.left + frame.width, best[-1][1])]
