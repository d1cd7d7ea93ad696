"""The searcher for few images: values as points, turns in one order, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import tune

from pixaris.results.report import TrialReport
from pixaris.search.algorithms.gp.book import GuidedBook
from pixaris.search.algorithms.gp.cube import Cube, Dimension
from pixaris.search.algorithms.gp.guide import Guide
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.search.algorithms.race_book import RacedScores
from pixaris.search.algorithms.tune_domains import space_of
from pixaris.statistics.racing.look import Rules

ITEMS = 4
CUBE = Cube((Dimension(21), Dimension(3, categorical=True)))
SPACE = space_of(
    {
        "steps": ("A", "steps", tune.randint(1, 9)),
        "amount": ("A", "amount", tune.loguniform(0.01, 1.0)),
        "size": ("A", "size", tune.lograndint(1, 1000)),
        "mix": ("A", "mix", tune.quniform(0.3, 1.0, 0.05)),
        "shift": ("A", "shift", tune.randn(5.0, 2.0)),
        "grow": ("A", "grow", tune.choice([4, 0, 2])),
        "mode": ("A", "mode", tune.choice(["normal", "screen", "soft"])),
    }
)


@given(st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7))
@settings(max_examples=200)
def test_a_point_becomes_values_of_the_domains_and_these_the_same_point(at: list[float]) -> None:
    cube = ValueCube(SPACE)
    values = cube.values(tuple(at))
    assert SPACE.contains(values)
    again = cube.point(values)
    assert cube.values(again) == pytest.approx(values)
    assert cube.cube.canonical(again) == pytest.approx(again)


def test_numbers_lie_by_rank_or_logarithm_and_words_are_categories() -> None:
    cube = ValueCube(SPACE)
    values = cube.values((0.0, 0.5, 0.5, 1.0, 0.5, 1.0, 0.5))
    assert values["steps"] == 1
    assert values["amount"] == pytest.approx(0.1)
    assert values["size"] == 32
    assert values["mix"] == 1.0
    assert values["shift"] == pytest.approx(5.0)
    assert values["grow"] == 4
    assert values["mode"] == "screen"
    assert [one.categorical for one in cube.cube.dimensions] == [False] * 6 + [True]


def test_a_baseline_outside_of_its_domains_lies_at_the_nearest_end() -> None:
    cube = ValueCube(SPACE)
    outside = {**cube.values((0.5,) * 7), "steps": 40, "amount": 5.0, "mode": "unknown"}
    point = cube.point(outside)
    assert (point[0], point[1]) == (1.0, 1.0)
    assert all(0.0 <= at <= 1.0 for at in point)


def score(point: tuple[float, ...], item: int) -> float:
    """One best set, another one for each item but near."""
    return float(np.exp(-8.0 * (point[0] - 0.7 - 0.02 * (item - 1.5)) ** 2)) - 0.3 * (point[1] != 0.5)


def guide_of(images: int, seed: int = 1) -> Guide:
    guide = Guide(CUBE, Rules(items=ITEMS), images, None, seed)
    guide.begin([(0.0, 0.0)])
    return guide


def run(book: GuidedBook, draws: np.random.Generator | None = None) -> list[tuple[int, int]]:
    """The images that a book has run, in its order; they land in a random one where there are draws."""
    known, order = 0, []
    while not book.ended:
        for _ in range(book.room):
            book.enter(known)
            known += 1
        flying = [(number, item) for number, item, _ in book.upcoming() if item == book.items(number)]
        number, item = flying[0] if draws is None else flying[int(draws.integers(len(flying)))]
        order.append((number, item))
        done = item + 1
        point = book.guide.points[number]
        scores = {index: score(point, index) for index in range(done)}
        state = "ended" if done == ITEMS else "running"
        report = TrialReport((0.0,), done, item_scores={"x": scores}, state=state)  # type: ignore[arg-type]
        book.hear(number, report)
    return order


def book_of(images: int, in_flight: int = 1, seed: int = 1) -> GuidedBook:
    return GuidedBook(guide_of(images, seed), RacedScores(("x",), (1.0,), tuple(range(ITEMS))), in_flight)


def test_a_baseline_that_nobody_knows_lies_in_the_middle_and_on_no_set() -> None:
    cube = ValueCube(SPACE)
    known = cube.values(cube.point({}))
    assert cube.point({}) != cube.point(known)
    assert all(abs(at - 0.5) < 1e-6 for at in cube.point({}))


def test_it_spends_its_images_and_names_a_whole_set() -> None:
    book = book_of(60)
    order = run(book)
    assert len(order) <= 60
    assert len(set(order)) == len(order), "no image twice"
    assert order[:ITEMS] == [(0, item) for item in range(ITEMS)], "the baseline first, whole"
    best = book.guide.best()
    assert best is not None
    assert book.items(best) == ITEMS
    point = book.guide.points[best]
    assert point[1] == 0.5
    assert abs(point[0] - 0.7) <= 0.1
    assert len(set(book.guide.points)) == len(book.guide.points), "no set twice"


def test_it_ends_where_the_budget_refuses_an_image() -> None:
    book = book_of(60)
    book.enter(0)
    assert not book.ended
    book.withdraw(0)
    book.start_without_more(last=True)
    assert book.ended
    assert not book.room


def test_what_is_left_over_is_stopped_with_a_reason() -> None:
    book = book_of(60)
    run(book)
    told = book.take_over()
    assert {one.number for one in told} == set(range(len(book.guide.points)))
    for one in told:
        whole = one.report.items == ITEMS
        assert (one.stop is None) == whole
        if one.stop is not None:
            assert one.stop.by == "gp"
            assert one.stop.against is not None
    assert all(one.estimate is not None for one in told)


@pytest.mark.parametrize("order", range(4))
def test_the_order_in_which_images_land_changes_nothing(order: int) -> None:
    in_turn, mixed = book_of(45, in_flight=4), book_of(45, in_flight=4)
    run(in_turn)
    run(mixed, np.random.default_rng(order))
    assert in_turn.guide.points == mixed.guide.points
    assert in_turn.guide.losses == mixed.guide.losses
    assert in_turn.guide.whole() == mixed.guide.whole()
    assert in_turn.guide.best() == mixed.guide.best()


def test_an_image_that_failed_is_passed_over() -> None:
    guide = guide_of(30)
    while (turn := guide.next()) is not None:
        failed = (turn.row + turn.item) % 5 == 2
        guide.record(turn.row, turn.item, None if failed else score(guide.points[turn.row], turn.item))
    assert guide.best() is not None


def test_points_that_were_given_come_right_after_the_baseline() -> None:
    guide = Guide(CUBE, Rules(items=ITEMS), 30, None, 1)
    guide.begin([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
    rows = []
    for _ in range(6):
        turn = guide.next()
        assert turn is not None
        rows.append(turn.row)
        guide.record(turn.row, turn.item, score(guide.points[turn.row], turn.item))
    assert rows == [0, 0, 0, 0, 1, 2]


def test_no_more_sets_are_tried_than_wanted() -> None:
    guide = Guide(CUBE, Rules(items=ITEMS), 60, 6, 1)
    guide.begin([(0.0, 0.0)])
    while (turn := guide.next()) is not None:
        guide.record(turn.row, turn.item, score(guide.points[turn.row], turn.item))
    assert len(guide.points) == 6


def test_a_guide_that_has_nothing_to_give_is_asked_again_only_when_it_knows_more() -> None:
    """Each question draws random numbers: it must not depend on how often Tune asks."""
    patient, pestered = book_of(45, in_flight=4), book_of(45, in_flight=4)
    run(patient)
    known = 0
    while not pestered.ended:
        for _ in range(5):
            assert pestered.room >= 0
        for _ in range(pestered.room):
            pestered.enter(known)
            known += 1
        number, item, _ = next(one for one in pestered.upcoming() if one[1] == pestered.items(one[0]))
        point = pestered.guide.points[number]
        scores = {index: score(point, index) for index in range(item + 1)}
        state = "ended" if item + 1 == ITEMS else "running"
        report = TrialReport((0.0,), item + 1, item_scores={"x": scores}, state=state)  # type: ignore[arg-type]
        pestered.hear(number, report)
    assert patient.guide.points == pestered.guide.points
