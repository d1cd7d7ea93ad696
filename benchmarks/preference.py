"""What votes find, with raters who are simulated: theta ~ N(0, 1), ties nu = 1/2.

The product's own choice of pairs is held against random pairs. Regret is in logits: how much worse the set
that is named is than the best.

    python benchmarks/preference.py [repetitions]
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

from pixaris.statistics.preference.davidson import Answer, Comparison, fit
from pixaris.statistics.preference.duel import next_pair

NU = 0.5
LOOKS = (30, 60, 120)


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


def told_beforehand(sets: int, votes: int, seed: int) -> bool:
    """Whether the best set is named by somebody who knows the two best, and asks about nothing else."""
    random = np.random.default_rng(seed)
    theta = np.sort(random.standard_normal(sets))[::-1]
    said = [Comparison(0, 1, answer(theta, 0, 1, random)) for _ in range(votes)]
    return bool(fit(2, said).mean[0] > 0)


def main() -> None:
    """Print a table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    known = [told_beforehand(8, 60, seed) for seed in range(repetitions)]
    print(f"8 sets, the two best known beforehand: 60 votes: best {np.mean(known):.2f}")
    for sets in (8, 24):
        for name in ("duel", "random"):
            rows = np.array([regrets(sets, LOOKS, seed, name == "duel") for seed in range(repetitions)])
            means = "  ".join(
                f"{votes} votes: regret {mean:.2f}, best {share:.2f}"
                for votes, mean, share in zip(LOOKS, rows.mean(axis=0), (rows == 0).mean(axis=0), strict=True)
            )
            print(f"{sets} sets, {name:<6}  {means}")


if __name__ == "__main__":
    main()
