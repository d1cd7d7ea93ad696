"""Racing: bounds against formulas and simulation, decisions in item order whatever order items land in."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pixaris.statistics.racing.bounds import moderated_variance, pooled_bound, sequence_bound
from pixaris.statistics.racing.look import Guard, Look, Rules
from pixaris.statistics.racing.order import stratified_order
from pixaris.statistics.racing.race import Race
from pixaris.statistics.racing.table import adjusted_means

ONE = np.ones(1)


def race_of(
    table: np.ndarray, rules: Rules, draws: np.random.Generator | None = None, affords: int | None = None
) -> tuple[Race, int]:
    """A race over a table of scores [sets, items], and the items it took; set 0 is the baseline.

    Sets that may run their next item are stepped in a random order where there are draws.
    """
    race, items = Race(rules, affords), 0
    for number in range(len(table)):
        race.enter(number, kept=number == 0)
    race.close()
    done = [0] * len(table)
    while race.living:
        able = [number for number in race.living if race.may_run(number)]
        number = able[0] if draws is None else int(draws.choice(able))
        done[number] += 1
        items += 1
        race.record(number, [table[number, : done[number]]], done[number])
        race.settle()
    return race, items


def landscape(seed: int, sets: int = 12, items: int = 8) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return draws.normal(0, 0.3, (sets, 1)) + draws.normal(0, 0.3, items) + draws.normal(0, 0.3, (sets, items))


def test_the_pooled_bound_is_students_with_the_finite_populations_factor() -> None:
    bound = pooled_bound(np.array([0.04]), np.array([5.0]), 12, 0.01)
    error = math.sqrt(0.04 * (1 / 5 - 1 / 12))
    assert bound.limit[0] == pytest.approx(stats.t.ppf(0.99, 5 - 1 + 4) * error)
    assert bound.half_width[0] == pytest.approx(stats.t.ppf(0.975, 5 - 1 + 4) * error)
    assert pooled_bound(ONE, np.array([12.0]), 12, 0.01).limit[0] == 0.0, "all items are seen"


def test_a_variance_is_drawn_to_the_others() -> None:
    variances = moderated_variance(np.array([0.0, 2.0]), np.array([1.0, 5.0]), 1.0)
    assert variances == pytest.approx([1.0, (4 * 1.0 + 4 * 2.0) / 8])


def test_the_sequence_is_the_published_one_and_closes_at_the_last_item() -> None:
    n, items, level, s = 16, 64, 0.05, 0.3
    clock = n * items / (items - n)
    ratio = ((1 + clock) / level**2) ** (1 / n)
    expected = s / math.sqrt(clock) * math.sqrt((n - 1) * (ratio - 1) / (1 - ratio / (1 + clock)))
    counts = np.array([float(n)])
    found = sequence_bound(np.array([s**2]), counts, items, np.array([level / 2])).half_width[0]
    assert found == pytest.approx(expected)
    assert sequence_bound(ONE, np.array([2.0]), items, np.array([0.01])).limit[0] == math.inf
    assert sequence_bound(ONE, np.array([64.0]), items, np.array([0.01])).limit[0] == 0.0


@pytest.mark.parametrize(("items", "most"), [(12, 0.045), (32, 0.05), (64, 0.06)])
def test_a_sequence_seldom_ever_misses(items: int, most: float) -> None:
    """The mean over all items is outside at any look in fewer than 5 % of sequences (and 3 of 1 000 standard
    errors).
    """
    draws = np.random.default_rng(items)
    table = draws.normal(size=(1000, items))
    truth = table.mean(axis=1)
    missed = np.zeros(len(table), dtype=bool)
    for n in range(3, items):
        first = table[:, :n]
        counts, level = np.full(len(table), float(n)), np.full(len(table), 0.025)
        half = sequence_bound(first.var(axis=1, ddof=1), counts, items, level).half_width
        missed |= np.abs(first.mean(axis=1) - truth) > half
    assert missed.mean() <= most


@given(seed=st.integers(0, 10_000), order=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_decisions_do_not_depend_on_the_order_in_which_items_land(seed: int, order: int) -> None:
    table = landscape(seed)
    rules = Rules(items=table.shape[1])
    in_turn, _ = race_of(table, rules)
    mixed, _ = race_of(table, rules, np.random.default_rng(order))
    assert dict(in_turn.falls) == dict(mixed.falls)


def test_a_set_that_ran_ahead_changes_no_look() -> None:
    table = landscape(3)
    rules = Rules(items=table.shape[1])
    behind, _ = race_of(table, rules)
    race = Race(rules)
    for number in range(len(table)):
        race.enter(number, kept=number == 0)
    race.close()
    race.record(1, [table[1, :6]], 6)
    for n in range(1, 9):
        for number in list(race.living):
            done = max(n, 6) if number == 1 else n
            race.record(number, [table[number, :done]], done)
            race.settle()
    assert dict(race.falls) == dict(behind.falls)


def test_the_baseline_never_falls() -> None:
    table = landscape(1)
    table[0] -= 10.0
    race, _ = race_of(table, Rules(items=8))
    assert 0 not in race.falls
    assert race.falls


def test_no_set_falls_by_differences_that_are_all_zero() -> None:
    """Ties say nothing: two items on which most sets are equal are no proof."""
    table = np.zeros((6, 8))
    table[5, 0] = -0.5
    race = Race(Rules(items=8))
    for number in range(6):
        race.enter(number)
    race.close()
    for n in (1, 2):
        for number in range(6):
            race.record(number, [table[number, :n]], n)
    assert race.settle() == []


def test_equal_sets_all_go_to_the_end() -> None:
    race, items = race_of(np.full((5, 6), 0.5), Rules(items=6))
    assert not race.falls
    assert items == 30


def test_an_item_without_a_score_is_left_out_of_the_comparison() -> None:
    table = landscape(5)
    table[3] += 3.0
    holed = table.copy()
    holed[3, 0] = np.nan
    race, _ = race_of(holed, Rules(items=8))
    assert 3 not in race.falls


def test_a_later_wave_falls_after_its_first_item_by_what_earlier_sets_vary() -> None:
    table = landscape(2, sets=16, items=12)
    table[8:] -= 5.0
    race = Race(Rules(items=12))
    for number in range(8):
        race.enter(number, kept=number == 0)
    race.close()
    for n in range(1, 13):
        for number in list(race.living):
            race.record(number, [table[number, :n]], n)
        race.settle()
    assert race.open
    for number in range(8, 16):
        race.enter(number)
    race.close()
    for number in range(8, 16):
        race.record(number, [table[number, :1]], 1)
    fallen = race.settle()
    assert {fall.number for fall in fallen} == set(range(8, 16))
    assert {fall.items for fall in fallen} == {1}


def test_the_first_wave_waits_for_its_second_item() -> None:
    table = landscape(4)
    race, _ = race_of(table, Rules(items=8))
    assert min(fall.items for fall in race.falls.values()) >= 2


def test_a_fall_names_whom_it_lost_to_and_by_how_much() -> None:
    table = landscape(7, items=16)
    race, _ = race_of(table, Rules(items=16))
    for fall in race.falls.values():
        assert fall.against is not None
        difference = (table[fall.number] - table[fall.against])[: fall.items].mean()
        assert fall.difference == pytest.approx(difference)
        assert fall.half_width is not None
        assert 0.0 < fall.half_width < -difference


def test_the_strict_race_names_the_full_grids_winner_and_costs_more() -> None:
    same, cost, strict_cost = 0, 0, 0
    for seed in range(20):
        table = landscape(seed, sets=16, items=24)
        winner = int(table.mean(axis=1).argmax())
        strict, items = race_of(table, Rules(items=24, guarantee=0.05, sets=16))
        same += winner not in strict.falls
        strict_cost += items
        cost += race_of(table, Rules(items=24))[1]
    assert same == 20
    assert cost < 0.6 * strict_cost < 0.6 * 20 * 16 * 24


def test_what_has_nothing_to_win_falls_sooner_with_a_least_effect() -> None:
    table = landscape(11, sets=16, items=24)
    _, plain = race_of(table, Rules(items=24))
    _, lenient = race_of(table, Rules(items=24, min_effect=0.2))
    assert lenient < plain


def test_a_budget_makes_the_worst_fall_and_leaves_a_whole_set() -> None:
    table = landscape(9, sets=16, items=8)
    race, items = race_of(table, Rules(items=8), affords=50)
    assert items <= 50
    left = [number for number in range(1, 16) if number not in race.falls]
    assert len(left) >= 1


@pytest.mark.parametrize("affords", [30, 40, 50])
@pytest.mark.parametrize("unknown", ["nothing", "a set", "an item"])
def test_a_short_budget_and_what_has_no_score_say_nothing_of_numpy_s(unknown: str, affords: int) -> None:
    table = landscape(9, sets=8, items=8)
    if unknown == "a set":
        table[3] = np.nan
    elif unknown == "an item":
        table[:, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        race, items = race_of(table, Rules(items=8), affords=affords)
    assert items <= affords
    assert len(race.falls) > 0


def test_a_guard_makes_a_set_fall_that_is_better_in_the_objective() -> None:
    draws = np.random.default_rng(0)
    better = draws.normal(0, 0.05, (4, 12)) + np.array([[0.0], [0.0], [0.3], [0.3]])
    guarded = draws.normal(0, 0.02, (4, 12)) + np.array([[0.0], [0.0], [0.0], [-0.5]])
    look = Look(np.stack([better, guarded]), Rules(items=24, guards=(Guard(1, 0.1),)))
    losses = {loss.row: loss for loss in look.losses([1, 2, 3], [0, 1, 2, 3], baseline=0)}
    assert losses[3].score == 1
    assert losses[3].against == 0
    assert losses[1].score == 0
    assert 2 not in losses


def test_with_several_objectives_only_the_dominated_fall() -> None:
    draws = np.random.default_rng(1)
    noise = draws.normal(0, 0.05, (2, 3, 12))
    means = np.array([[0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])[:, :, None]
    losses = Look(noise + means, Rules(items=24, objectives=2)).losses([0, 1, 2], [0, 1, 2])
    assert [loss.row for loss in losses] == [2]


def test_a_mean_over_easy_items_is_corrected() -> None:
    scores = np.array([[0.9, 0.9, 0.1, 0.1], [0.8, 0.8, np.nan, np.nan], [1.0, 1.0, 0.2, 0.2]])
    assert adjusted_means(scores) == pytest.approx([0.5, 0.4, 0.6])
    assert math.isnan(adjusted_means(np.array([[1.0], [np.nan]]))[1])


@given(strata=st.lists(st.integers(0, 3), min_size=1, max_size=40), seed=st.integers(0, 99))
def test_an_order_has_every_item_once_and_is_the_same_for_a_seed(strata: list[int], seed: int) -> None:
    order = stratified_order(strata, seed)
    assert sorted(order) == list(range(len(strata)))
    assert order == stratified_order(strata, seed)


def test_every_beginning_of_an_order_has_each_stratums_share() -> None:
    strata = [0] * 20 + [1] * 20
    for seed in range(20):
        order = stratified_order(strata, seed)
        for n in range(4, 41, 4):
            assert abs(sum(strata[index] for index in order[:n]) - n / 2) <= 2


def test_a_decision_is_quick() -> None:
    import time

    table = landscape(1, sets=200, items=16)
    started = time.perf_counter()
    race_of(table, Rules(items=16))
    looks = 16
    assert (time.perf_counter() - started) / looks < 0.5, "the whole of it, bookkeeping of the test included"
