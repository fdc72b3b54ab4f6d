"""Search: which ranges, which smoothing and which regions in float make the best INT8 engine."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from jouleforge.converters import calibration, gate, interpreter
from jouleforge.converters.calibration import Rows
from jouleforge.converters.gate import Judge
from jouleforge.converters.parity import Answer, Inputs
from jouleforge.converters.precision import Profile, quantize_static, smooth
from jouleforge.converters.precision.qdq import Range, quantized_tensors
from jouleforge.converters.precision.switches import INPUT, switchable
from jouleforge.errors import GateError
from jouleforge.proof import Candidate, PolicyScore
from jouleforge.recipe import Recipe

_log = logging.getLogger(__name__)

# Rows of the selection split that the ranking of regions looks at.
_RANKING_BATCHES = 4

Build = Callable[[onnx.ModelProto], Answer]
"""Makes an engine of a quantised graph, and returns what it answers."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best quantised graph."""

    graph: onnx.ModelProto
    calibrator: str
    kept_float: tuple[str, ...]
    smoothed: dict[str, float]
    candidates: tuple[Candidate, ...]


def quantize(
    graph: onnx.ModelProto,
    recipe: Recipe,
    rows: Rows,
    judge: Judge,
    *,
    profile: Profile,
    build: Build,
) -> Found:
    """Return the quantised graph that the recipe describes or, where it says `auto`, the best one.

    Every candidate is built for the target and scored on the selection split. One that passes the
    gate under every padding policy is better than one that does not; among equals, the one whose
    answers are nearer to the float32 module's.
    """
    graph, smoothed = _smoothed(graph, recipe, rows)
    tensors = quantized_tensors(ir.from_proto(graph).graph)
    _log.info("calibrating on %d rows", rows.count)
    seen = calibration.observe_once(graph, tensors, rows)
    trial = _Trial(graph, recipe, judge, profile, build)
    kept = () if isinstance(recipe.keep_float, str) else recipe.keep_float
    auto = recipe.calibrator in ("auto", "none")
    collectors = calibration.COLLECTORS if auto else (recipe.calibrator,)
    for collector in collectors:
        trial.run(collector, calibration.ranges(seen, collector), kept)
    if recipe.keep_float == "auto" and not gate.passes(trial.best.scores, recipe):
        _return_to_float(trial, calibration.ranges(seen, trial.best.collector))
    best = trial.best
    return Found(
        graph=trial.quantized(calibration.ranges(seen, best.collector), best.kept),
        calibrator=best.collector,
        kept_float=best.kept,
        smoothed=smoothed,
        candidates=tuple(
            Candidate(
                calibrator=tried.collector,
                kept_float=tried.kept,
                scores=tried.scores,
                chosen=tried is best,
            )
            for tried in trial.tried
        ),
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    collector: str
    kept: tuple[str, ...]
    scores: tuple[PolicyScore, ...]


class _Trial:
    """Builds and scores candidates."""

    def __init__(
        self,
        graph: onnx.ModelProto,
        recipe: Recipe,
        judge: Judge,
        profile: Profile,
        build: Build,
    ) -> None:
        self.graph = graph
        self.recipe = recipe
        self.judge = judge
        self.profile = profile
        self.tried: list[_Tried] = []
        self._build = build

    @property
    def best(self) -> _Tried:
        return min(self.tried, key=self._rank)

    def quantized(self, ranges: dict[str, Range], kept: Sequence[str]) -> onnx.ModelProto:
        return quantize_static(self.graph, ranges, profile=self.profile, keep_float=kept)

    def run(self, collector: str, ranges: dict[str, Range], kept: tuple[str, ...]) -> bool:
        """Add a candidate; return whether it passes the gate."""
        scores = self.judge.score(self._build(self.quantized(ranges, kept)))
        _log.info(
            "%s%s: at most %.2f points lost, %.1f %% of the decisions changed",
            collector,
            f", {len(kept)} regions in float" if kept else "",
            max(score.drop for score in scores),
            100 * max(score.changed for score in scores),
        )
        self.tried.append(_Tried(collector, kept, scores))
        return gate.passes(scores, self.recipe)

    def _rank(self, tried: _Tried) -> tuple[bool, int, float]:
        return (
            not gate.passes(tried.scores, self.recipe),
            len(tried.kept),
            max(score.divergence for score in tried.scores),
        )


def _smoothed(
    graph: onnx.ModelProto, recipe: Recipe, rows: Rows
) -> tuple[onnx.ModelProto, dict[str, float]]:
    if recipe.smoothquant == "off":
        return graph, {}
    _log.info("searching migration strengths")
    tensors = quantized_tensors(ir.from_proto(graph).graph)
    seen = calibration.observe(graph, tensors, rows.batches)
    strength = None if recipe.smoothquant == "auto" else recipe.smoothquant
    found = smooth.search(graph, seen, strength)
    return smooth.apply(graph, found), {name: each.strength for name, each in found.items()}


def _return_to_float(trial: _Trial, ranges: dict[str, Range]) -> None:
    """Put the most harmful regions back to float, as few as the gate asks for."""
    collector, kept = trial.best.collector, trial.best.kept
    _log.info("ranking regions by the harm of their rounding")
    harmful = rank(trial.graph, trial.quantized(ranges, kept), trial.judge)
    # With the last one in float too, it would be no INT8 engine, but a slow float32 one.
    most = len(harmful) - 1
    too_few, enough = 0, min(1, most)
    while enough > too_few and not trial.run(collector, ranges, tuple(harmful[:enough])):
        too_few, enough = enough, min(2 * enough, most)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if trial.run(collector, ranges, tuple(harmful[:middle])):
            enough = middle
        else:
            too_few = middle


def rank(plain: onnx.ModelProto, quantized: onnx.ModelProto, judge: Judge) -> list[str]:
    """Return the regions by what their rounding alone does to the answers, worst first."""
    graph, regions = switchable(plain, quantized)
    answer = interpreter.answer(graph)
    batches = judge.sample.batches[:_RANKING_BATCHES]

    def answers(switches: np.ndarray) -> np.ndarray:
        asked: list[Inputs] = [{**batch.inputs, INPUT: switches} for batch in batches]
        return np.concatenate([answer(inputs) for inputs in asked])

    count = len(regions)
    exact = answers(np.zeros(count, np.float32))
    if not np.isfinite(exact).all():
        raise GateError("the float32 graph answers NaN or infinity; is the checkpoint sound?")
    harm = [float(np.mean((answers(row) - exact) ** 2)) for row in np.eye(count, dtype=np.float32)]
    return [regions[place] for place in np.argsort(harm)[::-1]]
