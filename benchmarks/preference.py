"""What votes find, with raters who are simulated: theta ~ N(0, 1), ties nu = 1/2.

The product's own choice of pairs is held against random pairs. Regret is in logits: how much worse the set
that is named is than the best. Searches that votes steer go in rounds of eight sets, over a smooth random
function of two parameters; their regret is against the best of the whole space. The product's own choice of
sets is held against TPE, too.

    python benchmarks/preference.py [repetitions]
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
import optuna

from pixaris.search.algorithms.gp.cube import Cube, Dimension, Point
from pixaris.search.algorithms.gp.thompson import Heard, Thompson
from pixaris.statistics.preference.davidson import Answer, Comparison, fit
from pixaris.statistics.preference.duel import Pair, next_pair
from pixaris.statistics.preference.utility import prior_of, utility

NU = 0.5
LOOKS = (30, 60, 120)
DIMENSIONS = 2
ROUND = 8
ARMS = ("as Pixaris does", "random pairs", "TPE and random pairs", "TPE and random pairs, each set by itself")
CUBE = Cube((Dimension(),) * DIMENSIONS)
NUMBERS = np.zeros(DIMENSIONS, dtype=bool)

optuna.logging.set_verbosity(optuna.logging.ERROR)


def answer(theta: np.ndarray, one: int, other: int, random: np.random.Generator) -> Answer:
    """What a simulated rater says."""
    weights = [math.exp(theta[one]), math.exp(theta[other]), NU * math.exp((theta[one] + theta[other]) / 2)]
    drawn = random.choice(3, p=np.array(weights) / sum(weights))
    answers: list[Answer] = ["first", "second", "tie"]
    return answers[int(drawn)]


def landscape(dimensions: int, random: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """What parameters are worth: a smooth random function over the unit cube, of about unit variance."""
    waves = random.standard_normal((60, dimensions)) / 0.35
    shifts = random.uniform(0, 2 * math.pi, 60)
    weights = random.standard_normal(60) * math.sqrt(2 / 60)
    return lambda points: np.cos(points @ waves.T + shifts) @ weights


def regrets(sets: int, looks: Sequence[int], seed: int, duel: bool) -> list[float]:
    """Regret after so many votes, of one repetition."""
    random = np.random.default_rng(seed)
    theta = random.standard_normal(sets)
    pairs = list(itertools.combinations(range(sets), 2))
    votes: list[Comparison] = []
    found = []
    for number in range(1, max(looks) + 1):
        pair = next_pair(sets, votes, pairs, random) if duel else pairs[int(random.integers(len(pairs)))]
        assert pair is not None
        votes.append(Comparison(*pair, answer(theta, *pair, random)))
        if number in looks:
            found.append(float(theta.max() - theta[int(fit(sets, votes).mean.argmax())]))
    return found


def steered_regret(arm: str, sets: int, votes: int, seed: int) -> float:
    """Regret of a search that votes steer.

    Args:
        arm: One of `ARMS`: sets and pairs as the product chooses them, or not, sharing what is near or not.
        sets: Proposals, the baseline not counted.
        votes: In all, as many for each round as its share of the sets.
        seed: Of everything.
    """
    random = np.random.default_rng(seed)
    worth = landscape(DIMENSIONS, random)
    best = float(worth(random.random((20_000, DIMENSIONS))).max())
    points = [np.full(DIMENSIONS, 0.5)]
    said: list[Comparison] = []
    for made in [*range(ROUND, sets, ROUND), sets]:
        points += proposals(arm, points, said, made + 1 - len(points), seed)
        theta = worth(np.array(points))
        while len(said) < votes * made / sets:
            prior = shared(np.array(points), said)
            for _ in range(min(ROUND, math.ceil(votes * made / sets) - len(said))):
                pair = chosen(arm, prior, said, random)
                said.append(Comparison(*pair, answer(theta, *pair, random)))
    rates = win_rates(arm, np.array(points), said)
    return best - float(theta[int(rates.argmax())])


def win_rates(arm: str, points: np.ndarray, said: Sequence[Comparison]) -> np.ndarray:
    """Against the baseline, which is the first point."""
    if arm == ARMS[3]:
        posterior = fit(len(points), said)
        return np.array([posterior.wins(number, 0) for number in range(len(points))])
    found = utility(points, NUMBERS, said)
    return np.array([found.win_rate(number, 0).rate for number in range(len(points))])


def proposals(
    arm: str, points: Sequence[np.ndarray], said: Sequence[Comparison], count: int, seed: int
) -> list[np.ndarray]:
    """The next round's sets."""
    if arm in ARMS[2:]:
        return by_tpe(points, win_rates(arm, np.array(points), said), count, seed)
    heard = Heard()
    if said:
        there = tuple(tuple(map(float, point)) for point in points)
        heard = Heard(there, utility(np.array(points), NUMBERS, said))
    thompson = Thompson(CUBE, heard, seed)
    found: list[Point] = []
    while len(found) < count:
        point = thompson.next(found)
        assert point is not None
        found.append(point)
    return [np.array(point) for point in found]


def by_tpe(points: Sequence[np.ndarray], rates: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """TPE, made anew and told of all sets, as a round of a search that asks for it has it."""
    sampler = optuna.samplers.TPESampler(seed=1_000 * seed + len(points), constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    domains = {f"x{place}": optuna.distributions.FloatDistribution(0.0, 1.0) for place in range(DIMENSIONS)}
    for point, rate in zip(points, rates, strict=True):
        known = dict(zip(domains, map(float, point), strict=True))
        study.add_trial(optuna.trial.create_trial(params=known, distributions=domains, value=float(rate)))
    asked = [study.ask(domains) for _ in range(count)]
    return [np.array([trial.params[name] for name in domains]) for trial in asked]


def shared(points: np.ndarray, said: Sequence[Comparison]) -> np.ndarray:
    """What the page is told of which sets are near each other; it reads that every few seconds."""
    return prior_of(points, NUMBERS, utility(points, NUMBERS, said).parameters)


def chosen(arm: str, prior: np.ndarray, said: Sequence[Comparison], random: np.random.Generator) -> Pair:
    """The next pair."""
    pairs = list(itertools.combinations(range(len(prior)), 2))
    if arm != ARMS[0]:
        return pairs[int(random.integers(len(pairs)))]
    pair = next_pair(len(prior), said, pairs, random, prior)
    assert pair is not None
    return pair


def told_beforehand(best: int, sets: int, votes: int, seed: int) -> bool:
    """Whether the best set is named by somebody who knows which ones are the best few, and asks about no
    other: a mark that is too high for whoever does not know.
    """
    random = np.random.default_rng(seed)
    theta = np.sort(random.standard_normal(sets))[-best:]
    pairs = list(itertools.combinations(range(best), 2))
    said: list[Comparison] = []
    for _ in range(votes):
        pair = next_pair(best, said, pairs, random)
        assert pair is not None
        said.append(Comparison(*pair, answer(theta, *pair, random)))
    return int(fit(best, said).mean.argmax()) == best - 1


def main() -> None:
    """Print a table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for few in (2, 3, 4):
        known = [told_beforehand(few, 8, 60, seed) for seed in range(repetitions)]
        print(f"8 sets, the {few} best known beforehand: 60 votes: best {np.mean(known):.2f}")
    for sets in (8, 24):
        for name in ("duel", "random"):
            rows = np.array([regrets(sets, LOOKS, seed, name == "duel") for seed in range(repetitions)])
            means = "  ".join(
                f"{votes} votes: regret {mean:.2f}, best {share:.2f}"
                for votes, mean, share in zip(LOOKS, rows.mean(axis=0), (rows == 0).mean(axis=0), strict=True)
            )
            print(f"{sets} sets, {name:<6}  {means}")
    found = {arm: [steered_regret(arm, 60, 150, seed) for seed in range(repetitions)] for arm in ARMS}
    ours = np.array(found[ARMS[0]])
    for arm, each in found.items():
        lower = np.mean(ours < np.array(each))
        print(f"60 proposals, 150 votes, {arm}: regret {np.mean(each):.2f}, ours is lower in {lower:.0%}")


if __name__ == "__main__":
    main()
