"""Console: what is printed of engines, without what a comparison of measurements has to load."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jouleforge import instructions
from jouleforge.engine import Engine

if TYPE_CHECKING:  # needs torch, which a machine that only measures does not have
    from jouleforge.converters.explanation import Explanation

WIDTH = 100


def make_console() -> Console:
    """Return a console of 100 columns where nothing says how wide the output is."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def print_engine(engine: Engine) -> None:
    """Print what a conversion made and proved."""
    manifest = engine.manifest
    last, found = manifest.parity[-1], manifest.audit
    console = make_console()
    lines = [
        f"{engine.path}: {engine.name}; {last.decisions_equal} of {last.rows} decisions as the "
        f"checkpoint's, largest difference of a logit {last.max_abs_error:.2g}"
    ]
    if (gate := manifest.gate) is not None:
        lines += [
            f"{gate.task}, {gate.rows} rows of the selection split, {score.padding}: {gate.metric} "
            f"{_figure(score.value)} against {_figure(gate.reference)}, {score.changed:.1%} of the "
            "decisions changed"
            for score in gate.scores
        ]
    for candidate in manifest.calibration.candidates if manifest.calibration else ():
        worst = max(score.divergence for score in candidate.scores)
        kept = f", {len(candidate.kept_float)} regions in float" if candidate.kept_float else ""
        chosen = " (chosen)" if candidate.chosen else ""
        lines.append(f"calibrator {candidate.calibrator}{kept}: divergence {worst:.4f}{chosen}")
    shares = ", ".join(f"{share:.1%} {name}" for name, share in found.shares.items())
    lines.append(
        f"{found.source}: {shares} of the matrix products; {found.fused_attentions} of "
        f"{found.layers} attentions fused"
    )
    lines += [f"allowed: {text}" for text in found.allowed.values()]
    if (lacking := instructions.lacking(manifest.recipe, manifest.built_on)) is not None:
        lines.append(f"slow here: {lacking}")
    for line in lines:
        console.print(Text(line))


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def print_explanation(explanation: "Explanation") -> None:
    """Print the error at the end of each layer, inside the one that parts, and the sentence."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("region", overflow="fold")
    table.add_column("tensor", overflow="fold")
    table.add_column("relative error", justify="right")
    for title, steps in (("", explanation.layers), ("inside", explanation.inside)):
        if title and steps:
            table.add_section()
        for step in steps:
            table.add_row(Text(step.region), Text(step.tensor), Text(f"{step.error:.3g}"))
    console = make_console()
    console.print(table, width=min(console.width, WIDTH))
    console.print(Text(explanation.sentence))
