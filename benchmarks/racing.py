"""What racing costs, and what its winner is worth: every rule on the same tables of scores.

A search is simulated, image by image, with as many images in flight as there are endpoints: the product's own
race and schedulers decide, an image takes a random time, and what a set has under way when it is stopped is
made in vain.

    python benchmarks/racing.py [repetitions] [images in flight]
"""

from __future__ import annotations

import heapq
import random
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import optuna
from landscapes import Array, additive
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from pixaris.results.report import OBJECTIVE, TIME, TrialReport
from pixaris.search.algorithms import schedulers
from pixaris.search.algorithms.race_book import Field, RaceBook, RacedScores
from pixaris.statistics.racing.look import Rules
from pixaris.statistics.racing.race import Race

SIZES = ((32, 6), (32, 8), (32, 12), (32, 32), (32, 64), (200, 16))
KINDS = (("normal", 0.3), ("normal", 0.1), ("smooth", 0.0), ("heavy", 0.3))
LIMITS = {(32, 8): 0.57, (32, 12): 0.44, (32, 32): 0.25, (32, 64): 0.17, (200, 16): 0.31}
"""Sets and items, to the part of the images that the race may take."""


@dataclass(frozen=True)
class Outcome:
    """A simulated search.

    Attributes:
        images: Images that were made, in vain too.
        winner: Row of the winner.
    """

    images: int
    winner: int


Rule = Callable[[Array, int, int], Outcome]
"""Simulates a search: table of scores, images in flight, seed."""


def race(guarantee: float | None = None) -> Rule:
    """All sets side by side, as the race has it."""

    def simulated(table: Array, in_flight: int, seed: int) -> Outcome:
        sets, items = table.shape
        rules = Rules(items=items, sets=sets, guarantee=guarantee)
        scores = RacedScores(("x",), (1.0,), tuple(range(items)))
        book = RaceBook(Race(rules), scores, Field(sets, sets))
        for number in range(sets):
            book.enter(number)
        return _raced(book, table, in_flight, random.Random(seed))

    return simulated


def _raced(book: RaceBook, table: Array, in_flight: int, draws: random.Random) -> Outcome:
    items = table.shape[1]
    clock, images = 0.0, 0
    flying: list[tuple[float, int, int]] = []
    landed: dict[int, set[int]] = {number: set() for number in range(len(table))}
    asked: set[tuple[int, int]] = set()
    while book.living or flying:
        for number, item, _ in book.upcoming():
            if len(flying) >= in_flight:
                break
            if (number, item) not in asked:
                asked.add((number, item))
                images += 1
                heapq.heappush(flying, (clock + draws.uniform(0.7, 1.3), number, item))
        if not flying:
            break
        clock, number, item = heapq.heappop(flying)
        landed[number].add(item)
        while number not in book.over and book.items(number) in landed[number] and book.is_due(number):
            done = book.items(number) + 1
            book.hear(number, _report(table, number, done, items))
            for other in book.living:  # what ran ahead is told when its turn comes
                while other not in book.over and book.items(other) in landed[other] and book.is_due(other):
                    book.hear(other, _report(table, other, book.items(other) + 1, items))
    whole = [number for number in range(len(table)) if book.items(number) == items]
    return Outcome(images, max(whole, key=lambda number: float(table[number].mean())))


def _report(table: Array, number: int, done: int, items: int) -> TrialReport:
    scores = {index: float(table[number, index]) for index in range(done)}
    mean = float(table[number, :done].mean())
    state = "ended" if done == items else "running"
    return TrialReport((mean,), done, item_scores={"x": scores}, state=state)  # type: ignore[arg-type]


class _Nobody:
    """What schedulers ask of Tune."""

    def get_trials(self) -> list[Trial]:
        return []

    def get_live_trials(self) -> set[Trial]:
        return set()


def tunes(name: str, step_of: Callable[[int], int], **options: float) -> Rule:
    """A scheduler of Ray Tune: trials one after the other, as many at once as images are in flight."""

    def simulated(table: Array, in_flight: int, seed: int) -> Outcome:
        items = table.shape[1]
        step = step_of(items)
        inner = schedulers.build(name, options, items=items, step=step, direction="max")
        return _tuned(inner, table, min(in_flight, 8), step)

    return simulated


def _tuned(scheduler: TrialScheduler, table: Array, at_once: int, step: int) -> Outcome:
    sets, items = table.shape
    waiting = list(range(sets))
    running: list[tuple[Trial, int]] = []
    images, whole = 0, []
    while waiting or running:
        while waiting and len(running) < at_once:
            number = waiting.pop(0)
            trial = Trial("any", config={"number": number}, stub=True)
            scheduler.on_trial_add(_Nobody(), trial)
            running.append((trial, 0))
        trial, done = running.pop(0)
        more = min(items, done + step)
        images += more - done
        number = trial.config["number"]
        told = {OBJECTIVE: float(table[number, :more].mean()), TIME: more, "training_iteration": more}
        if more == items:
            scheduler.on_trial_complete(_Nobody(), trial, told)
            whole.append(number)
        elif scheduler.on_trial_result(_Nobody(), trial, told) != TrialScheduler.STOP:
            running.append((trial, more))
        else:
            scheduler.on_trial_complete(_Nobody(), trial, told)
    return Outcome(images, max(whole, key=lambda number: float(table[number].mean())))


def wilcoxon(table: Array, in_flight: int, seed: int) -> Outcome:
    """Optuna's WilcoxonPruner: trials one after the other, each against the best so far."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.WilcoxonPruner(p_threshold=0.1))
    images, whole = 0, []
    for number, row in enumerate(table):
        trial = study.ask()
        pruned = False
        for item, score in enumerate(row):
            images += 1
            trial.report(float(score), item)
            if item + 1 < len(row) and trial.should_prune():
                pruned = True
                break
        if pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, float(row.mean()))
            whole.append(number)
    return Outcome(images, max(whole, key=lambda number: float(table[number].mean())))


ASHAS = {
    f"asha, factor {factor:g}, first look at {grace}": tunes(
        "asha", lambda items: 1, grace_period=grace, reduction_factor=factor
    )
    for factor in (1.5, 2.0, 3.0)
    for grace in (1, 2, 4)
}
RULES: dict[str, Rule] = {
    "race": race(),
    "race, guarantee 0.05": race(0.05),
    **ASHAS,
    "median": tunes("median", lambda items: 1, grace_period=1),
    "Wilcoxon pruner": wilcoxon,
}


@dataclass(frozen=True)
class Summary:
    """A rule over many searches.

    Attributes:
        part: Images, of those of the whole grid.
        regret: How much the winner is worse than the grid's, in standard deviations of the sets.
        same: How often it is the grid's.
    """

    part: float
    regret: float
    same: float


def summary(rule: Rule, tables: Iterable[Array], in_flight: int) -> Summary:
    """Run a rule over tables of scores."""
    rows = []
    for seed, table in enumerate(tables):
        found = rule(table, in_flight, seed)
        means = table.mean(axis=1)
        lost = (means.max() - means[found.winner]) / means.std()
        rows.append((found.images / table.size, lost, found.winner == int(means.argmax())))
    part, regret, same = np.mean(np.array(rows, dtype=float), axis=0)
    return Summary(float(part), float(regret), float(same))


def tables(sets: int, items: int, repetitions: int) -> list[Array]:
    """Every kind of table, so often."""
    found = []
    for kind, spread in KINDS:
        for repetition in range(repetitions):
            seed = 1000 * repetition + 10 * items + sets
            found.append(additive(seed, sets, items, spread=spread, kind=kind))
    return found


def main(repetitions: int, in_flight: int) -> None:
    for sets, items in SIZES:
        limit = LIMITS.get((sets, items))
        head = f"{sets} sets × {items} items, {in_flight} images in flight"
        print(head if limit is None else f"{head} (the race may take {limit:.0%})")
        repeated = max(2, repetitions // 4) if sets > 100 else repetitions
        same_tables = tables(sets, items, repeated)
        for name, rule in RULES.items():
            found = summary(rule, same_tables, in_flight)
            print(
                f"  {name:<32} {found.part:6.1%} of the images, regret {found.regret:.3f} sd,"
                f" the grid's winner {found.same:.0%}",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [5, 8][len(given) :]))
