"""What the statistics promise, simulated: coverage, bias, false claims and power.

    python benchmarks/coverage.py [intervals] [sets] [gains] [claims] [--quick]

Everything is seeded. ``--quick`` takes a tenth of the repetitions.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import optuna

from pixaris.results.manifest import write_manifest
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.report import TrialReport
from pixaris.results.trial import TrialResult
from pixaris.statistics.bootstrap import corrected_bootstrap
from pixaris.statistics.corrections import tied
from pixaris.statistics.intervals import student_interval
from pixaris.statistics.power import items_needed
from pixaris.statistics.racing.look import Rules
from pixaris.statistics.racing.race import Race
from pixaris.statistics.shape import is_skewed
from pixaris.statistics.shrinkage import shrunk_gain
from pixaris.statistics.signflip import sign_flip_interval, sign_flip_p

Numbers: TypeAlias = npt.NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Numbers]

SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape) / math.sqrt(3),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1.0,
    "lognormal": lambda rng, shape: rng.lognormal(size=shape) - math.exp(0.5),
    "70 % ties": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.3),
    "5 % fail": lambda rng, shape: rng.normal(size=shape) - 4.0 * ((rng.random(shape) < 0.05) - 0.05),
}
"""Differences with mean 0."""


def intervals(factor: float) -> None:
    """How often a 95 % interval covers the mean, and how many samples are called skewed."""
    repeats, boots = round(4000 * factor), round(500 * factor)
    print("coverage of 95 %: sign flips / Student's t / corrected bootstrap; called skewed")
    for name, draw in SHAPES.items():
        cells = []
        for count in (8, 12, 16, 32, 64):
            rng = np.random.default_rng(count)
            values = draw(rng, (repeats, count))
            found = sign_flip_interval(values)
            assert found is not None
            flips = np.mean((found[0] <= 0.0) & (found[1] >= 0.0))
            t = np.mean([_covers(student_interval(row)) for row in values.tolist()])
            boot = np.mean(
                [_covers(corrected_bootstrap(row, resamples=999)) for row in values[:boots].tolist()]
            )
            skewed = np.mean([is_skewed(row) for row in values.tolist()])
            cells.append(f"{count}: {flips:.3f}/{t:.3f}/{boot:.3f} {skewed:.0%}")
        print(f"  {name:<12} {'   '.join(cells)}", flush=True)
    for difference in (0.36, 0.5, 0.89):
        needed = items_needed(difference, 1.0)
        assert needed is not None
        rng = np.random.default_rng(7)
        power = np.mean(sign_flip_p(rng.normal(difference, 1.0, (repeats, needed))) <= 0.05)
        print(f"  {needed} items for {difference} spreads: power {power:.3f}", flush=True)


def _covers(ends: tuple[float, float] | None) -> bool:
    return ends is not None and ends[0] <= 0.0 <= ends[1]


def sets(factor: float) -> None:
    """How often the truly best set is lost from those that are tied with the measured best."""
    print("the truly best set is not among the tied")
    for count, items in ((8, 8), (32, 12), (32, 32)):
        for gap in (0.0, 0.5, 1.0):
            rng = np.random.default_rng(count + items)
            lost, size, repeats = 0, 0, round(1000 * factor)
            for _ in range(repeats):
                scores = rng.normal(size=(count, items))
                scores[1:] -= np.linspace(0.0, gap, count - 1)[:, None]
                best = int(scores.mean(axis=1).argmax())
                against = {k: (scores[best] - scores[k]).tolist() for k in range(count) if k != best}
                found = tied(against)
                lost += best != 0 and 0 not in found
                size += len(found)
            rate = f"{lost / repeats:.3f}, {size / repeats:.1f} tied"
            print(f"  {count} sets x {items} items, worst {gap} spreads below: {rate}", flush=True)


@dataclass(frozen=True)
class Landscape:
    """A search that was simulated.

    Attributes:
        scores: [sets, items], the baseline first; NaN where a set was stopped.
        true: What each set's score is over all images of the world.
        sd: Standard deviation of the sets.
    """

    scores: Numbers
    true: Numbers
    sd: float

    @property
    def winner(self) -> int:
        """The set that would be named, of those that went through."""
        whole = ~np.isnan(self.scores).any(axis=1)
        means = np.where(whole, np.nan_to_num(self.scores).mean(axis=1), -np.inf)
        means[0] = -np.inf
        return int(means.argmax())


def drawn(rng: np.random.Generator, count: int, items: int, sd: float, *, race: bool = False) -> Landscape:
    """Sets that differ by sd, each item's noise a set's own (0.2) and a seed's (0.25)."""
    true = np.concatenate([[0.0], rng.normal(0.0, sd, count)])
    noise = rng.normal(0.0, math.hypot(0.2, 0.25), (count + 1, items))
    scores = true[:, None] + noise + rng.normal(0.0, 0.3, items)
    return Landscape(raced(scores) if race else scores, true, sd or 0.1)


def raced(scores: Numbers) -> Numbers:
    """What a race of all sets side by side leaves of a whole table; the baseline goes through."""
    count, items = scores.shape
    left = np.full(scores.shape, np.nan)
    race = Race(Rules(items, sets=count))
    for number in range(count):
        race.enter(number, kept=number == 0)
    race.close()
    for seen in range(1, items + 1):
        for number in race.living:
            left[number, :seen] = scores[number, :seen]
            race.record(number, [scores[number, :seen].tolist()], seen)
        race.settle()
    return left


def learned(
    rng: np.random.Generator, count: int, items: int, noise: float, *, flat: bool = False
) -> Landscape:
    """Sets that TPE proposes for a hill in four dimensions, or where all is flat."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    top, own = rng.uniform(0.2, 0.8, 4), rng.uniform(0.0, 1.0, 4)
    hard = rng.normal(0.0, 0.3, items)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
    )
    distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
    true = [0.0 if flat else -float(((own - top) ** 2).sum())]
    scores = [true[0] + hard + rng.normal(0.0, noise, items)]
    for _ in range(count):
        trial = study.ask({f"x{axis}": distribution for axis in range(4)})
        place = np.array([trial.params[f"x{axis}"] for axis in range(4)])
        true.append(0.0 if flat else -float(((place - top) ** 2).sum()))
        scores.append(true[-1] + hard + rng.normal(0.0, noise, items))
        study.tell(trial, float(scores[-1].mean()))
    values = np.array(true)
    return Landscape(np.array(scores), values, float(values[1:].std()) or 0.1)


def gains(factor: float) -> None:
    """Bias and coverage of the shrunk gain of the set that won."""
    print("the winner's shrunk gain: bias in sd of the sets, coverage, width in sd")
    for name, landscapes in _landscapes(factor):
        misses, covered, widths = [], [], []
        for one in landscapes:
            if one.winner == 0:  # the race stopped all others
                continue
            found = shrunk_gain(one.scores, one.winner, 0)
            assert found is not None
            assert found.low is not None
            assert found.high is not None
            gain = one.true[one.winner] - one.true[0]
            misses.append((found.mean - gain) / one.sd)
            covered.append(found.low <= gain <= found.high)
            widths.append((found.high - found.low) / one.sd)
        error = np.std(misses) / math.sqrt(len(misses))
        told = f"{np.mean(misses):+.2f} ± {2 * error:.2f}, {np.mean(covered):.3f}, {np.mean(widths):.1f}"
        print(f"  {name:<36} {told}", flush=True)


def _landscapes(factor: float) -> Iterator[tuple[str, list[Landscape]]]:
    for race in (False, True):
        for sd in (0.1, 0.3):
            for count, items, repeats in (
                (2, 12, 1500),
                (5, 12, 1500),
                (32, 12, 1500),
                (32, 32, 800),
                (200, 12, 300),
            ):
                rng = np.random.default_rng(count * items)
                kind = "raced" if race else "whole"
                name = f"{kind}, sd {sd}, {count} x {items}"
                yield name, [drawn(rng, count, items, sd, race=race) for _ in range(round(repeats * factor))]
    for noise in (0.1, 0.3):
        for count in (25, 60):
            rng = np.random.default_rng(count)
            found = [learned(rng, count, 12, noise) for _ in range(round(60 * factor))]
            yield f"TPE, noise {noise}, {count} x 12", found


def verdict(one: Landscape, folder: Path) -> str:
    """What a search of these scores is said to have found."""
    names = tuple(f"i{item}" for item in range(one.scores.shape[1]))
    trials = []
    for number, row in enumerate(one.scores):
        known = row[~np.isnan(row)]
        report = TrialReport(objectives=(float(known.mean()),), items=len(known))
        scores = tuple(None if math.isnan(score) else float(score) for score in row)
        trials.append(TrialResult(number, {}, "finished", report, scores))
    # a search that runs is given no advice, which would take most of the time
    result = SearchResult("s", folder, "running", (Objective("ssim", "max"),), tuple(trials), names)
    return result.verdict().kind


def claims(factor: float) -> None:
    """How often a search is said to have found something better: where nothing is, and where sets differ."""
    print("share of searches that call a set better, where no set differs / where sets differ by sd 0.3")
    plain, tpe = Path(mkdtemp()), Path(mkdtemp())
    write_manifest(SearchPaths(tpe), {"algorithm": "tpe"})
    repeats = round(400 * factor)
    for race in (False, True):
        for count in (25, 200):
            for items in (6, 12, 32):
                rng = np.random.default_rng(count + items)
                shares = []
                for sd in (0.0, 0.3):
                    found = [verdict(drawn(rng, count, items, sd, race=race), plain) for _ in range(repeats)]
                    shares.append(found.count("better") / len(found))
                kind = "raced" if race else "whole"
                print(f"  {kind}, {count} x {items}: {shares[0]:.3f} / {shares[1]:.3f}", flush=True)
    for count in (25, 60):
        rng = np.random.default_rng(count)
        flat = [verdict(learned(rng, count, 12, 0.3, flat=True), tpe) for _ in range(repeats)]
        hill = [verdict(learned(rng, count, 12, 0.3), tpe) for _ in range(repeats // 4)]
        shares = [flat.count("better") / len(flat), hill.count("better") / len(hill)]
        print(f"  TPE, {count} x 12: {shares[0]:.3f} / {shares[1]:.3f} (a hill)", flush=True)


PARTS: dict[str, Callable[[float], None]] = {
    "intervals": intervals,
    "sets": sets,
    "gains": gains,
    "claims": claims,
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(PARTS)}")
    for name in options.parts or PARTS:
        PARTS[name](0.1 if options.quick else 1.0)


if __name__ == "__main__":
    main()
