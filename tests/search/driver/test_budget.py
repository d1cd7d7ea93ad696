"""The budget: what the file may say, and a ledger that never lets more start than it pays for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.results.budget import Amounts, Budget
from pixaris.search.file.limits import read_budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import Document
from pixaris.search.ledger import Ledger


def read(given: Any) -> tuple[Budget, list[str]]:
    reader = Reader(Document({"budget": given}))
    return read_budget(reader, "budget", given), [str(problem) for problem in reader.problems]


def test_a_budget_names_any_of_its_limits() -> None:
    assert read({"images": 600}) == (Budget(images=600), [])
    whole = Budget(600, 3600.0, 1e4, 12.5)
    assert read({"images": 600, "seconds": 3600.0, "endpoint_seconds": 1e4, "credits": 12.5}) == (whole, [])
    assert whole.describe() == "600 images, 3600 seconds, 10000 endpoint seconds, 12.5 credits"
    assert not Budget()
    assert (
        whole.compare(Amounts(120, 60.04, 3.0, 0.5))
        == "images 120 of 600, seconds 60.04 of 3600, endpoint seconds 3 of 10000, credits 0.5 of 12.5"
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"images": 0}, "budget.images: must be at least 1 (got 0)"),
        ({"images": 2.5}, "budget.images: must be a whole number (got 2.5)"),
        ({"seconds": 0}, "budget.seconds: must be above 0 (got 0)"),
        ({"credits": float("nan")}, "budget.credits: must be a finite number (got nan)"),
        ({"endpoint_seconds": "an hour"}, "budget.endpoint_seconds: must be a number (got 'an hour')"),
        (
            {"image": 3},
            (
                "budget.image: 'image' is no known key (did you mean 'images'?); known are images, seconds,"
                " endpoint_sec"
            ),
        ),
        (600, "budget: must be a mapping of keys and values (got 600)"),
    ],
)
def test_a_wrong_budget_is_told(given: Any, problem: str) -> None:
    _, (message,) = read(given)
    assert message.startswith(problem)


def test_images_are_counted_when_they_are_made_and_held_back_while_they_may_be() -> None:
    ledger = Ledger(Budget(images=3), 0.0)
    first, reason = ledger.admit(0, "a", 2, 1.0)
    assert (len(first), reason) == (2, "")
    second, _ = ledger.admit(1, "b", 5, 1.0)
    assert len(second) == 1
    assert ledger.admit(1, "b", 4, 1.0) == ([], ""), "one under way may yet fail"
    ledger.settle(first[0], 2.0)
    third, _ = ledger.admit(1, "b", 4, 2.0)
    assert len(third) == 1
    for ticket in (first[1], second[0], third[0]):
        ledger.settle(ticket, 3.0, seconds=0.5)
    assert ledger.spent(3.0).images == 3
    assert ledger.admit(1, "b", 1, 3.0) == ([], "the budget of 3 images pays for no other image")


def test_the_first_image_is_alone_where_nobody_knows_what_one_takes() -> None:
    ledger = Ledger(Budget(credits=12), 0.0)
    (ticket,), _ = ledger.admit(0, "a", 6, 0.0)
    assert ledger.admit(0, "a", 5, 0.0) == ([], "")
    ledger.settle(ticket, 1.0, seconds=1.0, cost=5.0)
    (ticket,), _ = ledger.admit(0, "a", 5, 1.0)
    ledger.settle(ticket, 2.0, seconds=1.0, cost=5.0)
    assert ledger.admit(0, "a", 4, 2.0) == ([], "the budget of 12 credits pays for no other image")


def test_no_image_starts_that_would_end_too_late() -> None:
    ledger = Ledger(Budget(seconds=10), began=100.0)
    (ticket,), _ = ledger.admit(0, "a", 1, 102.0)
    ledger.settle(ticket, 105.0, seconds=1.0)
    (ticket,), _ = ledger.admit(0, "a", 1, 106.9)
    assert ledger.admit(0, "a", 1, 107.1)[1] == "the budget of 10 seconds pays for no other image"


def test_a_withdrawn_image_counts_if_the_pool_made_it() -> None:
    def withdrawn(made: int) -> Ledger:
        ledger = Ledger(Budget(images=2), 0.0)
        first, second = ledger.admit(0, "a", 2, 0.0)[0]
        ledger.settle(first, 1.0, seconds=2.0)
        ledger.settle(second, 1.0, withdrawn=True)
        assert ledger.admit(0, "a", 1, 1.1) == ([], "")
        ledger.audit(made, 0.0, 1.2)
        assert ledger.admit(0, "a", 1, 1.3) == ([], ""), "it is too early to say"
        ledger.audit(made, 0.0, 3.0)
        return ledger

    spared = withdrawn(made=1)
    assert spared.affords(1, 0, 3.0) == ("go", "")
    assert len(spared.admit(0, "a", 1, 3.0)[0]) == 1
    made = withdrawn(made=2)
    assert made.admit(0, "a", 1, 3.0) == ([], "the budget of 2 images pays for no other image")
    assert made.affords(1, 0, 3.0) == ("no", "the budget of 2 images pays for no other trial of 1 images")
    assert made.spent(3.0) == Amounts(2, 3.0, 4.0)


def test_what_the_account_was_charged_for_withdrawn_images_counts() -> None:
    ledger = Ledger(Budget(credits=12), 0.0)
    (first,) = ledger.admit(0, "a", 1, 0.0)[0]
    ledger.settle(first, 1.0, seconds=1.0, cost=5.0)
    (second,) = ledger.admit(0, "a", 1, 1.0)[0]
    ledger.settle(second, 1.0, withdrawn=True)
    assert ledger.admit(0, "a", 1, 1.0) == ([], "")
    ledger.audit(1, 10.0, 3.0)
    assert ledger.spent(3.0).credits == 10.0
    assert ledger.admit(0, "a", 1, 3.0) == ([], "the budget of 12 credits pays for no other image")


def test_what_the_pool_knows_earlier_counts_once() -> None:
    ledger = Ledger(Budget(credits=20), 0.0)
    (first,) = ledger.admit(0, "a", 1, 0.0)[0]
    ledger.settle(first, 1.0, seconds=1.0, cost=5.0)
    second, third = ledger.admit(0, "a", 2, 1.0)[0]
    ledger.audit(2, 10.0, 2.0)  # the second one is made, and charged; its trial is about to say so
    ledger.settle(second, 2.0, seconds=1.0, cost=5.0)
    ledger.settle(third, 2.0, cost=0.0)
    ledger.audit(2, 10.0, 3.0)
    assert ledger.spent(3.0).credits == 10.0


def test_what_a_dead_process_had_under_way_counts_as_made() -> None:
    ledger = Ledger(Budget(images=4), 0.0)
    ledger.admit(0, "a", 2, 0.0)
    tickets, _ = ledger.admit(0, "b", 9, 1.0)
    assert len(tickets) == 2
    ledger.close_trial(0)
    assert ledger.spent(1.0).images == 4
    ledger.settle(tickets[0], 2.0, seconds=1.0)
    assert ledger.spent(2.0).images == 4, "and is counted once"


def test_a_resumed_search_goes_on_counting() -> None:
    ledger = Ledger(Budget(images=10, seconds=100), 50.0, Amounts(8, 60.0))
    assert len(ledger.admit(0, "a", 5, 51.0)[0]) == 2
    assert ledger.spent(51.0) == Amounts(8, 61.0)


def test_a_trial_starts_only_if_it_can_be_whole() -> None:
    ledger = Ledger(Budget(images=20), 0.0)
    assert ledger.affords(8, 0, 0.0) == ("go", "")
    assert ledger.affords(8, 8, 0.0) == ("go", "")
    assert ledger.affords(8, 13, 0.0) == ("wait", ""), "one under way may be stopped early"
    for _ in range(13):
        (ticket,), _ = ledger.admit(0, "a", 1, 0.0)
        ledger.settle(ticket, 0.0, seconds=1.0)
    answer, reason = ledger.affords(8, 0, 0.0)
    assert (answer, reason) == ("no", "the budget of 20 images pays for no other trial of 8 images")


def test_a_trial_waits_until_it_is_known_what_images_take() -> None:
    ledger = Ledger(Budget(endpoint_seconds=10), 0.0)
    assert ledger.affords(4, 0, 0.0) == ("go", "")
    assert ledger.affords(4, 4, 0.0) == ("wait", "")
    (ticket,), _ = ledger.admit(0, "a", 4, 0.0)
    ledger.settle(ticket, 0.0, seconds=1.0)
    assert ledger.affords(4, 3, 0.0) == ("go", "")
    assert ledger.affords(9, 0, 0.0) == ("go", "")
    assert ledger.affords(10, 0, 0.0)[0] == "no"
    for seconds in (0.1, 0.1, 0.1, 0.1):
        (ticket,), _ = ledger.admit(0, "a", 1, 0.0)
        ledger.settle(ticket, 0.0, seconds=seconds)
    assert ledger.affords(12, 0, 0.0)[0] == "go", "one slow image makes no trial dear"


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(0, 8), st.booleans()), max_size=60
)


@given(STEPS, st.integers(1, 25))
def test_never_more_images_than_the_budget_whatever_comes(
    steps: list[tuple[int, int, int, bool]], limit: int
) -> None:
    ledger = Ledger(Budget(images=limit), 0.0)
    open_tickets: list[int] = []
    made = 0
    for trial, wanted, settled, good in steps:
        tickets, reason = ledger.admit(trial, "p", wanted, 0.0)
        assert not (tickets and reason)
        open_tickets += tickets
        assert made + len(open_tickets) <= limit
        assert bool(tickets) or bool(reason) or bool(open_tickets), "whoever waits, waits for something"
        for ticket in open_tickets[:settled]:
            ledger.settle(ticket, 0.0, seconds=1.0 if good else None)
            made += good
        del open_tickets[:settled]
    assert ledger.spent(0.0).images == made


@given(STEPS, st.floats(0.5, 30.0), st.floats(0.1, 3.0))
def test_never_more_seconds_or_credits_than_the_budget_where_images_are_alike(
    steps: list[tuple[int, int, int, bool]], limit: float, each: float
) -> None:
    ledger = Ledger(Budget(endpoint_seconds=limit, credits=2 * limit), 0.0)
    open_tickets: list[int] = []
    for trial, wanted, settled, _ in steps:
        tickets, reason = ledger.admit(trial, "p", wanted, 0.0)
        open_tickets += tickets
        assert bool(tickets) or bool(reason) or bool(open_tickets), "whoever waits, waits for something"
        for ticket in open_tickets[:settled]:
            ledger.settle(ticket, 0.0, seconds=each, cost=2 * each)
        del open_tickets[:settled]
        spent = ledger.spent(0.0)
        assert spent.endpoint_seconds <= max(limit, each) + 1e-6, (
            "the first image alone may cost more than anybody knew"
        )
        assert spent.credits <= 2 * max(limit, each) + 1e-6
