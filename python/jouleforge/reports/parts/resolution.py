"""Resolution: how small a difference the method can tell from none, in plain words."""

from jouleforge.comparison import Comparison, Ratio

UNKNOWN = (
    "The resolution was not measured: no engine was measured against itself (A/A), so a small "
    "difference may be the method's own and not the engines'."
)


def sentence(comparison: Comparison) -> str:
    """Return what an engine differs from itself by, or that nobody measured it."""
    found = comparison.resolution
    if found is None:
        return UNKNOWN
    bound = comparison.baseline.speed_ratio.resolution
    if bound is None:
        return (
            f"The resolution was not measured: {found.label} was measured against itself (A/A) in "
            "one block only, which gives no interval; a small difference may be the method's own."
        )
    text = (
        f"Measured against itself (A/A), {found.label} is {_itself(found.speed)} times as fast: "
        f"no effect on speed of {_percent(bound)} or less is called a difference"
    )
    energy = comparison.baseline.energy_ratio
    if found.energy is not None and energy is not None and energy.resolution is not None:
        text += (
            f", and none on energy of {_percent(energy.resolution)} or less "
            f"({_itself(found.energy)} times its own joules)"
        )
    return f"{text}."


def _itself(ratio: Ratio) -> str:
    """Return the ratio of an engine to itself, with one digit more than others: it is near 1."""
    bounds = [f"[{found.low:.3f}, {found.high:.3f}]" for found in ratio.intervals]
    return f"{ratio.value:.3f} {', bootstrap '.join(bounds)}"


def _percent(factor: float) -> str:
    """Return by how much a factor exceeds 1, to two digits."""
    percent = 100 * (factor - 1)
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"
