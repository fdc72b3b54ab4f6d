"""How often each interval that a report prints holds the truth, on simulated data.

`python bench/interval_coverage.py` simulates every design 4,000 times, or four times as often, and
writes bench/results/interval_coverage.json and .md. A 95 % interval must hold the truth in 93 to 97
of 100 cases. Designs that none of our intervals promises to hold in are listed as such, from 1,000
trials: they say what a label, or the choice of another method, is worth.

Times are simulated as measured ones behave (bench/results/sst2.jsonl): a block's times share a
factor (sd 6 %), batches in a row are alike (correlation 0.5), and the batches of a pass differ by
their lengths and come again in every pass. Latencies under load are those of a queue that random
arrivals build up before one worker.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import simulated_queues
import simulated_stops
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.stats import norm

from jouleforge import stats
from jouleforge.comparison import ratios
from jouleforge.quantiles import percentile
from jouleforge.stats import Estimate, Interval

RESULTS = Path(__file__).parent / "results" / "interval_coverage.json"
LOWEST, HIGHEST = 0.93, 0.97
_SEED = 20261121

Random = np.random.Generator
Case = Callable[[Random], bool | None]
"""Simulates one study; returns whether the interval holds the truth, `None` if none is printed."""
Noise = Callable[[Random, tuple[int, ...]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Design:
    """One interval on one kind of data."""

    interval: str
    data: str
    case: Case
    required: bool = True
    """Whether the interval promises to hold here."""
    times: int = 1
    """How many times as many trials as others: of an interval that comes close to the limit."""

    @property
    def name(self) -> str:
        """Return what tells it apart."""
        return f"{self.interval}: {self.data}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often an interval of a design held the truth."""

    interval: str
    data: str
    required: bool
    trials: int
    printed: float
    """Share of the trials in which there was an interval."""
    coverage: float
    """Share of those in which it held the truth."""


def coverage(design: Design, trials: int) -> Coverage:
    """Simulate a design; the same trials always give the same result."""
    random = np.random.default_rng([_SEED, *design.name.encode()])
    found = [held for held in (design.case(random) for _ in range(trials)) if held is not None]
    return Coverage(
        interval=design.interval,
        data=design.data,
        required=design.required,
        trials=trials,
        printed=len(found) / trials,
        coverage=round(sum(found) / max(1, len(found)), 4),
    )


def designs() -> Iterator[Design]:
    """Give every design, interval by interval."""
    yield from _means()
    yield from (Design(*each, times=4) for each in simulated_stops.cases())
    yield from _ratios()
    yield from _proportions()
    yield from _per_correct()
    yield from _percentiles()
    yield from (Design(*each) for each in simulated_queues.cases())
    yield from _rejected()


def _holds(interval: Interval | None, truth: float) -> bool | None:
    return None if interval is None else not interval.excludes(truth)


def normal(random: Random, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw noise of logarithms: mean 0, sd 1."""
    return random.normal(size=shape)


def skewed(random: Random, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw noise of skewness 0.5: mean 0, sd 1."""
    return (random.gamma(16.0, size=shape) - 16.0) / 4.0


def outlying(random: Random, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw noise of which a tenth is three times as far away: mean 0."""
    return random.normal(size=shape) * np.where(random.random(shape) < 0.1, 3.0, 1.0)


_NOISES: tuple[tuple[str, Noise], ...] = (
    ("normal", normal),
    ("skewness 0.5", skewed),
    ("a tenth outlying", outlying),
)


def _mean_case(noise: Noise, blocks: int, *, bootstrap: bool) -> Case:
    def case(random: Random) -> bool | None:
        found = stats.median_of_repeats(list(np.exp(0.05 * noise(random, (blocks,)))))
        return _holds(found.bootstrap if bootstrap else found.interval, 1.0)

    return case


def _means() -> Iterator[Design]:
    """Examples/s and J/example, whose intervals are the same, and so those of J/token."""
    for words, noise in _NOISES:
        for blocks in (3, 5, 10, 20):
            case = _mean_case(noise, blocks, bootstrap=False)
            yield Design("examples/s, J/example, J/token, t", f"{words}, {blocks} blocks", case)
        for blocks in (10, 20, 40):
            case = _mean_case(noise, blocks, bootstrap=True)
            yield Design("the same, bootstrap", f"{words}, {blocks} blocks", case)


def _rates(random: Random, noise: Noise, rows: int, blocks: int) -> list[dict[int, float]]:
    """Return rates of equal rows whose blocks drift together: a random walk of 10 % a block."""
    drift = np.exp(0.1 * np.cumsum(random.normal(size=blocks)))
    found = np.exp(0.03 * noise(random, (rows, blocks))) * drift
    return [dict(enumerate(map(float, row))) for row in found]


def _ratio(own: dict[int, float], other: dict[int, float]) -> ratios.Ratio:
    found = ratios.paired(own, other)
    assert found is not None
    return found


def _ratio_case(noise: Noise, blocks: int, *, bootstrap: bool) -> Case:
    def case(random: Random) -> bool | None:
        found = _ratio(*_rates(random, noise, 2, blocks))
        return _holds(found.bootstrap if bootstrap else found.interval, 1.0)

    return case


def _verdict_case(blocks: int, *, twin: bool) -> Case:
    """Return whether equal engines are rightly said to show no difference."""

    def case(random: Random) -> bool | None:
        own, other, again = _rates(random, normal, 3, blocks)
        itself = _ratio(again, other) if twin else None
        return ratios.limited(_ratio(own, other), itself).shown == "neither"

    return case


def _ratios() -> Iterator[Design]:
    """Ratios of speed and energy, and the A/A ratio, which is one of them."""
    for words, noise in _NOISES:
        data = f"{words}, blocks that drift together"
        for blocks in (2, 3, 5, 10):
            case = _ratio_case(noise, blocks, bootstrap=False)
            yield Design("ratio, A/A ratio, t", f"{data}, {blocks} pairs", case)
        for blocks in (10, 20):
            case = _ratio_case(noise, blocks, bootstrap=True)
            yield Design("ratio, bootstrap", f"{data}, {blocks} pairs", case)


def _proportions() -> Iterator[Design]:
    for count, share in ((872, 0.89), (872, 0.97), (277, 0.65)):

        def accuracy(random: Random, count: int = count, share: float = share) -> bool | None:
            return _holds(stats.wilson(int(random.binomial(count, share)), count), share)

        yield Design("accuracy, Wilson", f"{share} of {count} examples", accuracy)
    for count, gain, loss in ((872, 0.01, 0.03), (872, 0.02, 0.02), (277, 0.03, 0.06)):

        def difference(
            random: Random, count: int = count, gain: float = gain, loss: float = loss
        ) -> bool | None:
            gained, lost = map(int, random.multinomial(count, (gain, loss, 1 - gain - loss))[:2])
            found = stats.paired_difference(gained=gained, lost=lost, count=count)
            return _holds(found.interval, gain - loss)

        data = f"{gain} gained, {loss} lost of {count} examples"
        yield Design("accuracy difference, Tango", data, difference)


def _per_correct() -> Iterator[Design]:
    """J/correct and its ratio, where the meter's noise or the sample of examples decides."""
    for blocks, sd in ((5, 0.003), (5, 0.02), (10, 0.02)):

        def per_correct(random: Random, blocks: int = blocks, sd: float = sd) -> bool | None:
            joules = stats.geometric_mean(list(np.exp(sd * random.normal(size=blocks))))
            right = int(random.binomial(872, 0.89))
            found = stats.quotient(joules, Estimate(right / 872, stats.wilson(right, 872)))
            return _holds(found.interval, 1 / 0.89)

        data = f"{blocks} blocks of sd {100 * sd:g} %, accuracy 0.89 of 872"
        yield Design("J/correct", data, per_correct)

        def ratio(random: Random, blocks: int = blocks, sd: float = sd) -> bool | None:
            joules = stats.geometric_mean(list(0.4 * np.exp(sd * random.normal(size=blocks))))
            both, gained, lost = map(int, random.multinomial(872, (0.86, 0.01, 0.03, 0.1))[:3])
            correct = stats.paired_proportions(both=both, gained=gained, lost=lost)
            pairs = ratios.Ratio(joules.value, joules.interval, blocks)
            found = ratios.per_correct(pairs, correct)
            return _holds(found.interval if found else None, 0.4 * 0.89 / 0.87)

        yield Design("J/correct ratio", f"{data} against 0.87", ratio)


@dataclass(frozen=True, slots=True)
class Times:
    """How batch times come about, on the log scale."""

    words: str
    lengths: bool
    """Whether the batches of a pass differ by their lengths, by up to a factor of four."""
    block_sd: float
    batch_sd: float
    correlation: float

    def draw(self, random: Random, blocks: int, batches: int) -> list[NDArray[np.float64]]:
        """Return the batch times of every block."""
        start = 30  # steps after which the correlated noise has forgotten its beginning
        steps = random.normal(size=(blocks, batches + start))
        gain = math.sqrt(1 - self.correlation**2)
        noise = lfilter([gain], [1, -self.correlation], steps, axis=1)[:, start:]
        logs = self.block_sd * random.normal(size=(blocks, 1)) + self.batch_sd * noise
        return list(np.exp(logs + (np.resize(_LENGTHS, batches) if self.lengths else 0.0)))

    def quantile(self, level: float) -> float:
        """Return the true quantile over all blocks there could be."""
        sd = math.hypot(self.block_sd, self.batch_sd)
        centres = _LENGTHS if self.lengths else np.zeros(1)
        root = brentq(lambda log: norm.cdf((log - centres) / sd).mean() - level, -5, 5)
        return math.exp(root)


_BATCHES = 28
"""Batches of a pass; that of SST-2's 872 sentences in batches of 32."""
_LENGTHS = np.random.default_rng(0).permutation(np.linspace(-0.7, 0.7, _BATCHES))
_MEASURED = Times("texts of all lengths, correlated", True, 0.06, 0.06, 0.5)
_EQUAL = Times("equal lengths, correlated", False, 0.03, 0.06, 0.5)
_INDEPENDENT = Times("independent", False, 0.0, 0.1, 0.0)


def _percentile_case(times: Times, level: float, blocks: int, batches: int) -> Case:
    truth = times.quantile(level)

    def case(random: Random) -> bool | None:
        found = percentile(times.draw(random, blocks, batches), level)
        return _holds(found.interval if found else None, truth)

    return case


def _percentile_design(
    times: Times, level: float, blocks: int, passes: int, *, required: bool = True
) -> Design:
    kind = "blocks" if blocks >= stats.FEWEST_BLOCKS else "within-block"
    return Design(
        f"p{100 * level:g}, {kind}",
        f"{times.words}, {blocks} blocks of {passes} passes",
        _percentile_case(times, level, blocks, passes * _BATCHES),
        required,
    )


def _percentiles() -> Iterator[Design]:
    for level, blocks, passes in (
        (0.5, 1, 1), (0.5, 5, 1), (0.95, 5, 1), (0.95, 5, 5), (0.99, 5, 5), (0.99, 5, 20),
    ):  # fmt: skip
        yield _percentile_design(_INDEPENDENT, level, blocks, passes)
    for times in (_INDEPENDENT, _MEASURED, _EQUAL):
        for blocks, passes in ((10, 2), (10, 5), (20, 2), (20, 5), (40, 2)):
            for level in (0.5, 0.95, 0.99):
                if blocks * passes * _BATCHES >= 1000 or level < 0.99:
                    yield _percentile_design(times, level, blocks, passes)


def _rejected() -> Iterator[Design]:
    """What is labelled, or was not taken: how far it is from its promise."""
    for times in (_MEASURED, _EQUAL):
        for level in (0.5, 0.95):
            yield _percentile_design(times, level, 5, 5, required=False)
        for level in (0.5, 0.95, 0.99):
            data = f"{times.words}, 10 blocks of 5 passes"
            case = _plain_case(times, level, 10, 5 * _BATCHES)
            name = f"p{100 * level:g}, percentiles of 10,000 resamples (not used)"
            yield Design(name, data, case, required=False)
    for blocks in (3, 5, 10):
        for twin, words in ((True, "with"), (False, "without")):
            case = _verdict_case(blocks, twin=twin)
            data = f"equal engines, {blocks} pairs, {words} A/A"
            yield Design("'no difference shown'", data, case, required=False)
    for blocks in (5, 10):

        def plain(random: Random, blocks: int = blocks) -> bool | None:
            logs = 0.05 * random.normal(size=blocks)
            low, high = np.quantile(stats.block_counts(blocks) @ logs, (0.025, 0.975))
            return bool(low <= 0 <= high)

        name = "examples/s, percentiles of 10,000 resamples (not used)"
        yield Design(name, f"normal, {blocks} blocks", plain, required=False)


def _plain_case(times: Times, level: float, blocks: int, batches: int) -> Case:
    """Return the percentile bootstrap of a quantile over whole blocks, equal in size.

    A resample's quantile is at most x where its share of values up to x is at least the level, so
    the ends are found among the values without computing any resample's quantile.
    """
    truth, draws = times.quantile(level), stats.block_counts(blocks)

    def case(random: Random) -> bool | None:
        found = times.draw(random, blocks, batches)
        ordered = np.sort(np.concatenate(found))

        def end(tail: float) -> float:
            low, high = 0, len(ordered) - 1
            while low < high:
                middle = (low + high) // 2
                below = np.array([np.count_nonzero(each <= ordered[middle]) for each in found])
                share = np.mean(draws @ below >= level * blocks * batches - 1e-6)
                low, high = (low, middle) if share >= tail else (middle + 1, high)
            return float(ordered[low])

        return end(0.025) <= truth <= end(0.975)

    return case


def table(found: list[Coverage]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Coverage of the 95 % intervals\n\n",
        "Share of simulated studies whose interval holds the truth; from 0.93 to 0.97 is required. "
        "Written by\n`python bench/interval_coverage.py`, which says how the data are made.\n",
    ]
    for required, title in (
        (True, "Intervals as printed"),
        (False, "Labelled, not used, or no interval"),
    ):
        lines += [f"\n## {title}\n\n| Interval | Data | Coverage | Printed |\n"]
        lines += ["| :-- | :-- | --: | --: |\n"]
        lines += [
            f"| {each.interval} | {each.data} | {each.coverage:.3f} | {each.printed:.2f} |\n"
            for each in found
            if each.required == required
        ]
    return "".join(lines)


def main() -> None:
    """Simulate, write, and fail if an interval does not keep its promise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=4000)
    given = parser.parse_args()
    found, started = [], time.monotonic()
    for design in designs():
        trials = given.trials * design.times if design.required else given.trials // 4
        found.append(coverage(design, trials))
        print(f"{time.monotonic() - started:5.0f} s  {found[-1].coverage:.4f}  {design.name}")
    RESULTS.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    RESULTS.with_suffix(".md").write_text(table(found), encoding="utf-8")
    bad = [each for each in found if each.required and not LOWEST <= each.coverage <= HIGHEST]
    for each in bad:
        print(f"outside {LOWEST} to {HIGHEST}: {each.interval}: {each.data}: {each.coverage}")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
