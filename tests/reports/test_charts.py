"""The scatter plot: every point in its frame, and no label over another or over a point."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from jouleforge.reports.parts.charts import Box, Mark, Scatter, scatter

WORDS = st.sampled_from(["7", "12 ort fused fp32", "3 pytorch sdpa fp32, bucket:16,32,48,64"])
POINTS = st.lists(
    st.tuples(st.floats(1e-3, 1e4), st.floats(-1, 1), WORDS, st.booleans(), st.booleans()),
    min_size=1,
    max_size=20,
)


def plot(points: list[tuple[float, float, str, bool, bool]], width: float = 680) -> Scatter:
    marks = [
        Mark(cost=cost, gain=gain, label=label, title=label, on_frontier=best, is_baseline=base)
        for cost, gain, label, best, base in points
    ]
    return scatter(marks, width=width, height=400)


@settings(max_examples=60, deadline=None)
@given(POINTS, st.sampled_from([330.0, 680.0]))
def test_labels_cover_neither_each_other_nor_points(
    points: list[tuple[float, float, str, bool, bool]], width: float
) -> None:
    chart = plot(points, width)
    labels = [point.label for point in chart.points if point.label]
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    for point in chart.points:
        dot = Box(point.x - 5, point.y - 5, 10, 10)
        assert dot.lies_in(chart.frame)
        assert not any(label.overlaps(dot) for label in labels)


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_axes_have_ticks_inside_the_frame(
    points: list[tuple[float, float, str, bool, bool]],
) -> None:
    chart = plot(points)
    frame = chart.frame
    assert len(chart.x_ticks) >= 2
    assert len(chart.y_ticks) >= 2
    assert all(frame.left <= tick.at <= frame.left + frame.width for tick in chart.x_ticks)
    assert all(frame.top <= tick.at <= frame.top + frame.height for tick in chart.y_ticks)
    assert len({tick.text for tick in chart.x_ticks}) == len(chart.x_ticks)
    assert len({tick.text for tick in chart.y_ticks}) == len(chart.y_ticks)


def test_less_cost_is_left_and_more_gain_is_up() -> None:
    good, bad = plot([(1.0, 0.9, "a", True, False), (2.0, 0.8, "b", False, False)]).points
    assert good.x < bad.x
    assert good.y < bad.y


def test_costs_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    near = [(1.0, 0.9, "a", True, False), (2.0, 0.8, "b", False, False)]
    far = [(1.0, 0.9, "a", True, False), (20.0, 0.8, "b", False, False)]
    assert not plot(near).is_logarithmic
    assert plot(far).is_logarithmic


def test_frontier_runs_through_its_points_in_steps() -> None:
    points = [
        (1.0, 0.8, "a", True, False),
        (2.0, 0.9, "b", True, False),
        (2.5, 0.7, "c", False, False),
    ]
    chart = plot(points)
    corners = {tuple(corner.split(",")) for corner in chart.frontier.split()}
    for point in chart.points:
        assert ((f"{point.x:.1f}", f"{point.y:.1f}") in corners) == point.mark.on_frontier


def test_few_points_all_have_their_label() -> None:
    points = [(1.0 + number, 0.9, f"{number} pytorch", False, False) for number in range(8)]
    assert all(point.label for point in plot(points).points)
